/** What people are told of. Plain data: it is stored as JSON until it is delivered, and every channel renders it in its own way. */

/** `critical`: recovery is endangered now. `warning`: it will be, or a promise is not kept. `info`: for the digest. */
export type AlertSeverity = 'critical' | 'warning' | 'info'

/**
 * `fired`: new alerts. `reminder`: still there. `escalated`: nobody acknowledged in time, so the next level is told. `broadcast`: nobody
 * of any level did. `refired`: an acknowledgement ran out. `acknowledged`, `resolved`. `withdrawn`: told no more, though it is not known
 * to be gone: its rule was switched off, or somebody left it as it is. `flapping`: told once, then quiet.
 * `digest`: what happened in a day. `canary`: asks for a receipt. `test`: someone tries a channel. `success`: a run went well.
 */
export type NoticeKind =
  | 'fired'
  | 'reminder'
  | 'escalated'
  | 'broadcast'
  | 'refired'
  | 'acknowledged'
  | 'resolved'
  | 'withdrawn'
  | 'flapping'
  | 'digest'
  | 'canary'
  | 'test'
  | 'success'

/** One alert, as a notice tells of it. */
export interface NoticeAlert {
  /** The same as long as it is the same rule, cluster and target. */
  readonly key: string
  readonly rule: string
  readonly severity: AlertSeverity
  readonly cluster: string
  /** A few words. */
  readonly title: string
  /** What was found, a sentence. */
  readonly finding: string
  /** What it means for recovery, a sentence. */
  readonly effect: string
  /** The exact next step. */
  readonly fix: string
  /** ISO 8601 UTC. */
  readonly since: string
  readonly resolvedAt?: string | undefined
  readonly acknowledgedBy?: string | undefined
}

/** What a notice says of one thing, such as a cluster: a heading, and a few labelled texts. */
export interface NoticeSection {
  readonly heading: string
  readonly rows: readonly { readonly label: string; readonly text: string }[]
}

export interface Notice {
  readonly id: string
  readonly kind: NoticeKind
  /** ISO 8601 UTC. */
  readonly at: string
  /** The same for every notice of one incident: a message is updated, a mail is answered. */
  readonly incident: string
  /** The worst of its alerts; of a digest always `info`, because it calls nobody. */
  readonly severity: AlertSeverity
  /** Absent when it is about several clusters, or none. */
  readonly cluster?: string | undefined
  /** Readable on a watch: how bad, what, and the effect on recovery. */
  readonly headline: string
  readonly alerts: readonly NoticeAlert[]
  /** Of an escalation: 1 to 3. */
  readonly level?: number | undefined
  /** Of what is resolved or withdrawn: whether nothing else of the incident is open for those whom it goes to. */
  readonly isOver?: boolean | undefined
  /** Further lines for people, such as those of a digest. */
  readonly lines?: readonly string[] | undefined
  /** Of a digest: one for each cluster. */
  readonly sections?: readonly NoticeSection[] | undefined
}
