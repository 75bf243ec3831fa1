import { type Check, notVerifiable, skipped } from '../check.ts'
import type { ProofSubject } from '../proof-subject.ts'

/** What a server that is cut off from the world cannot show is said, not passed over. */
export const leftOutCheck: Check<ProofSubject> = {
  name: 'left-out',
  title: 'Libraries that run jobs or send requests',
  run: async ({ preloaded }) =>
    preloaded === ''
      ? skipped('The source preloads none.')
      : notVerifiable(`The source preloads ${preloaded}; a sandbox does not, so what they do was not tried.`),
}
