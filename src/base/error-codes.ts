/**
 * Every error that Retake can report. The comment of a code is its user documentation: what happened, and what to do.
 * `exit` is the status of the command line; scripts must treat an unknown status as failure.
 */

/** Whether trying the same again can help: `never` (something must change first), `later` (it may pass), `always` (safe at once). */
export type RetryAdvice = 'never' | 'later' | 'always'

interface CodeFacts {
  readonly exit: number
  readonly retry: RetryAdvice
}

const facts = <const T extends Record<string, CodeFacts>>(table: T): T => table

export const errorCodes = facts({
  /** A flag, an environment variable or a file has a value that cannot be used. The message names it and shows what is allowed. */
  'config.invalid': { exit: 2, retry: 'never' },
  /** An instant was given without an offset, or is not an instant. Write it as 2026-11-22T09:04:11.482Z or with +02:00. */
  'target.invalid': { exit: 2, retry: 'never' },
  /** The work was stopped on request (Ctrl-C, a signal, an aborted AbortSignal). Nothing half-written is visible. */
  aborted: { exit: 130, retry: 'always' },
  /** A time limit ran out. */
  timeout: { exit: 124, retry: 'later' },
  /** A program or library that is needed is not on this machine. The hint says how to install it. */
  'dependency.missing': { exit: 50, retry: 'never' },
  /** Something that Retake takes for impossible happened. Please report it with the message. */
  internal: { exit: 1, retry: 'never' },

  /** The server could not be reached. Backups and WAL held so far are untouched; WAL waits in the slot on the server. */
  'postgres.unreachable': { exit: 1, retry: 'later' },
  /** The server refused the name or password. */
  'postgres.auth': { exit: 12, retry: 'never' },
  /** The server has no pg_hba.conf line for this connection, or the role lacks REPLICATION. */
  'postgres.privilege': { exit: 12, retry: 'never' },
  /** TLS could not be agreed with the server, or its certificate is not accepted under the sslmode that was asked for. */
  'postgres.tls': { exit: 12, retry: 'never' },
  /** The connection broke while it was in use. */
  'postgres.connection-lost': { exit: 1, retry: 'later' },
  /** The server answered a command with an error; details carry its SQLSTATE. */
  'postgres.error': { exit: 1, retry: 'never' },
  /** The server sent something that the protocol does not allow, or a file of the server is not what it should be. */
  'postgres.protocol': { exit: 1, retry: 'never' },
  /** This major version or setting is not supported. */
  'postgres.unsupported': { exit: 22, retry: 'never' },
  /** A local server did not start, or ended when it should not. The message carries the end of its log. */
  'postgres.server': { exit: 1, retry: 'never' },
  /** The replication slot is missing, lost (wal_status lost) or in use by another receiver. */
  'postgres.slot': { exit: 1, retry: 'later' },

  /** There is no repository at this place. `retake init` makes one. */
  'repo.missing': { exit: 10, retry: 'never' },
  /** There already is something else at this place. */
  'repo.exists': { exit: 2, retry: 'never' },
  /** Somebody else holds the lease: another backup or receiver of this cluster is running. */
  'repo.locked': { exit: 11, retry: 'later' },
  /** The lease was lost while working (the process was suspended, or another took over); what was written is not committed. */
  'repo.lease-lost': { exit: 11, retry: 'later' },
  /** The repository was written by a newer Retake. */
  'repo.version': { exit: 2, retry: 'never' },
  /** A stored object is missing, cut short, or not what was written. The message names the object. */
  'repo.damaged': { exit: 30, retry: 'never' },
  /** An object with this name exists with other content; it was not overwritten. */
  'repo.conflict': { exit: 1, retry: 'never' },
  /** The repository's storage cannot be read or written just now. */
  'storage.failed': { exit: 1, retry: 'later' },
  /** The storage is full. What was already committed is safe. */
  'storage.full': { exit: 1, retry: 'later' },
  /** The storage cannot be written (read-only, or no permission). */
  'storage.read-only': { exit: 1, retry: 'never' },
  /** The storage did not answer, or not in time: network, name, port, or the service is down. What was already committed is safe. */
  'storage.unreachable': { exit: 1, retry: 'later' },
  /** The storage refused the credentials, or they do not allow this. The message names the operation; the hint, the permission. */
  'storage.denied': { exit: 12, retry: 'never' },
  /** The storage lacks something without which a repository is not safe in it, such as writing only what does not exist yet. */
  'storage.unsupported': { exit: 22, retry: 'never' },
  /** The object is under retention (Object Lock) and cannot be deleted before the time that the message and `details.until` name. */
  'storage.locked': { exit: 22, retry: 'later' },

  /** The key does not open this repository. */
  'key.wrong': { exit: 12, retry: 'never' },
  /** No key was given. Use RETAKE_KEY_FILE, RETAKE_KEY, RETAKE_KEY_COMMAND, RETAKE_KMS_KEY or RETAKE_PASSPHRASE. */
  'key.missing': { exit: 12, retry: 'never' },
  /** The key text is damaged (its check digits do not match). */
  'key.malformed': { exit: 12, retry: 'never' },
  /** The repository has no such key holder. */
  'key.unknown': { exit: 10, retry: 'never' },
  /** The change of keys is not made as asked: it would lock everybody out, or cannot be undone and was not confirmed. */
  'key.refused': { exit: 22, retry: 'never' },
  /** The key service (AWS KMS) refused to wrap or unwrap, or could not be reached. The message says which. */
  'key.unavailable': { exit: 12, retry: 'later' },

  /** The cluster is not registered in this repository. `retake init` registers it. */
  'cluster.missing': { exit: 10, retry: 'never' },
  /** The server is not the cluster that is registered under this name: its system identifier differs. */
  'cluster.foreign': { exit: 22, retry: 'never' },
  /** The data keys of this cluster were destroyed on purpose; its name is not used again. */
  'cluster.shredded': { exit: 10, retry: 'never' },

  /** There is no such backup, or none at all. */
  'backup.missing': { exit: 10, retry: 'never' },
  /** The backup cannot be made as asked. */
  'backup.refused': { exit: 22, retry: 'never' },

  /** WAL is missing inside the range that is needed. No restore crosses it silently. */
  'wal.gap': { exit: 21, retry: 'never' },
  /** The history file of a timeline is missing, so the way to the target is unknown. */
  'wal.history-missing': { exit: 21, retry: 'never' },
  /** WAL that is to be stored differs from what is stored under the same name: two servers claim one timeline. */
  'wal.diverged': { exit: 22, retry: 'never' },
  /** A WAL record or page does not decode. */
  'wal.damaged': { exit: 30, retry: 'never' },

  /** The target lies outside the recovery window. */
  'target.outside': { exit: 20, retry: 'never' },
  /** The target (a transaction, a named point) does not occur in the WAL that is held. */
  'target.missing': { exit: 20, retry: 'never' },

  /** A check before the restore failed: space, version, target directory, tablespace mapping. */
  'restore.refused': { exit: 22, retry: 'never' },
  /** What changes something that is there must be confirmed by its name: `--confirm NAME`, or typed when asked. Nothing was changed. */
  'confirmation.missing': { exit: 23, retry: 'never' },
  /** The plan is not the one that was shown, or no longer fits the repository. */
  'plan.stale': { exit: 22, retry: 'never' },
  /** The restored files or the recovered server are not what the plan promised. */
  'restore.mismatch': { exit: 30, retry: 'never' },
  /** A rehearsed recovery failed: its record (`retake drill show`) names the check or the error. */
  'drill.failed': { exit: 31, retry: 'never' },
  /** A recovery could not be rehearsed on this machine: no room, or no PostgreSQL of that version. That says nothing about the backups. */
  'drill.inconclusive': { exit: 32, retry: 'never' },
  /** There is no record of such a drill. */
  'drill.missing': { exit: 10, retry: 'never' },
  /** Verification found damage. */
  'verify.damaged': { exit: 30, retry: 'never' },
  /** The control database of the server cannot be used. Backups, and restores with the command, do not need it. */
  'control.unavailable': { exit: 50, retry: 'later' },
  /** Other servers took this one for dead and have its work; it stops, so that nothing is done twice. */
  'control.lost': { exit: 11, retry: 'always' },
  /** A Supabase project, its Management API or the address of Retake's status could not be reached: network, name, port, proxy. Nothing was changed. */
  'supabase.unreachable': { exit: 1, retry: 'later' },
  /** Supabase did not accept the key or token, or it does not allow this. The message names the call. */
  'supabase.denied': { exit: 12, retry: 'never' },
  /** The plan of the Supabase organization does not include what was asked for. */
  'supabase.plan': { exit: 22, retry: 'never' },
  /** Supabase knows no such project or thing, or the token may not see it. */
  'supabase.missing': { exit: 10, retry: 'never' },
  /** Supabase understood the call and refused it; the message carries its sentence. */
  'supabase.refused': { exit: 22, retry: 'never' },
  /** Supabase wants fewer requests; waiting for as long as it said was longer than allowed. */
  'supabase.rate-limited': { exit: 1, retry: 'later' },
  /** Supabase failed on its own side. Whether a call that changes something was carried out is not known: look before repeating it. */
  'supabase.failed': { exit: 1, retry: 'later' },
  /** An answer is not what the API describes: something in between answered, or the API changed. */
  'supabase.protocol': { exit: 1, retry: 'never' },
  /** A channel of notices could not be reached: network, name, port, proxy. The notice stays in line and is tried again. */
  'notice.unreachable': { exit: 1, retry: 'later' },
  /** A channel wants fewer notices. The notice is tried again when it said, at the earliest. */
  'notice.rate-limited': { exit: 1, retry: 'later' },
  /** A channel failed on its own side, or something in between answered. Whether the notice arrived is not always known; it is tried again. */
  'notice.failed': { exit: 1, retry: 'later' },
  /** A channel did not accept the password, token or key. The hint says which one it wants. */
  'notice.denied': { exit: 12, retry: 'never' },
  /** A channel understood the notice and refused it: no such place, no such recipient, no trusted encryption. The hint is what to change. */
  'notice.refused': { exit: 22, retry: 'never' },
  /** A request to the API is not as it is described (`docs/api.md`); the answer lists the fields. Nothing was changed. */
  'api.invalid': { exit: 2, retry: 'never' },
  /** The server did not accept the token, or none was sent, or the request came under a name that the server does not know as its own. */
  'api.denied': { exit: 12, retry: 'never' },
  /** The server knows no such run, alert, channel or address, or has nothing to tell of it yet. */
  'api.missing': { exit: 10, retry: 'never' },
  /** The state of the thing does not allow what was asked, such as stopping a run that is over, or an `Idempotency-Key` was used for another request. */
  'api.conflict': { exit: 22, retry: 'never' },
  /** The server is ending, has too many streams open, or still works on the same request. */
  'api.busy': { exit: 11, retry: 'later' },
  /** The server of Retake could not be reached, or the connection broke. Whether an action was begun is not known: repeat it with the same `Idempotency-Key`. */
  'api.unreachable': { exit: 1, retry: 'later' },
  /** An answer is not what the API describes: something in between answered, or the versions differ. */
  'api.protocol': { exit: 1, retry: 'never' },
  /** `retake doctor`, `retake status` or `retake health` found something that endangers recovery, or `retake schedules` a run that did not come. */
  'health.failed': { exit: 40, retry: 'never' },
  /** `retake health` could not find out whether something endangers recovery, or `retake schedules` whether a run came. */
  'health.unknown': { exit: 41, retry: 'later' },
})

export type ErrorCode = keyof typeof errorCodes
