import type { Evidence } from './evidence.ts'

export interface Judged {
  /** 0 to 1. */
  readonly factor: number
  /** Why points are lost, when they are. */
  readonly reason: string
  /** What wins them back. */
  readonly fix: string
  /** The factor that the fix leads to, where that is less than 1. */
  readonly reaches?: number | undefined
  /** It could not be found out, which counts as nothing. */
  readonly isUnknown?: true | undefined
}

/** One item of the score. */
export interface ScoreRule {
  readonly name: string
  readonly title: string
  readonly weight: number
  readonly judge: (evidence: Evidence) => Judged
}

export const nothing = (why: { readonly reason: string; readonly fix: string }): Judged => ({ factor: 0, ...why })

/** Never better than nothing. */
export const notKnown = (why: { readonly reason: string; readonly fix: string }): Judged => ({
  factor: 0,
  ...why,
  isUnknown: true,
})
