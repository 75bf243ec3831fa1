/** What the server must be like so that backup, WAL and restore work. Pure decisions over {@link ServerFacts}. */
import {
  type Check,
  failed,
  formatGiB,
  passed,
  quoteIdentifier,
  skipped,
  unknown,
  type Verdict,
  warning,
} from './check.ts'
import type { ServerFacts } from './server-facts.ts'

const OLDEST_MAJOR = 15
const NEWEST_TESTED_MAJOR = 18
/** Beyond this, a time target chosen by this machine's clock would miss visibly. */
const CLOCK_TOLERANCE_MS = 2000

const RELOAD = 'SELECT pg_reload_conf();'
const RESTART = '-- then restart the server'

/** Runs `judge` on a setting, or says that this role may not see it. */
function onSetting(facts: ServerFacts, name: string, judge: (value: string) => Verdict): Verdict {
  const value = facts.settings.get(name)
  if (value !== undefined) return judge(value)
  return unknown(`This role may not read the setting ${name}.`, grantMonitor(facts))
}

function grantMonitor(facts: ServerFacts): string {
  return `GRANT pg_monitor TO ${quoteIdentifier(facts.role.name)};`
}

function alter(name: string, value: string, after: string): string {
  return `ALTER SYSTEM SET ${name} = '${value}'; ${after}`
}

export function majorOf(serverVersionNum: number): number {
  return Math.floor(serverVersionNum / 10_000)
}

const version: Check<ServerFacts> = {
  id: 'server.version',
  title: 'PostgreSQL version',
  judge: ({ serverVersionNum }) => {
    const major = majorOf(serverVersionNum)
    const text = `PostgreSQL ${major}.${serverVersionNum % 10_000}`
    if (major < OLDEST_MAJOR) {
      return failed(
        `${text} is not supported: ${OLDEST_MAJOR} is the oldest.`,
        `Upgrade the server to PostgreSQL ${OLDEST_MAJOR} or newer.`,
      )
    }
    if (major > NEWEST_TESTED_MAJOR) {
      return warning(
        `${text} is newer than what this Retake was tested with.`,
        'Upgrade Retake, and rehearse a restore.',
      )
    }
    return passed(`${text} is supported.`)
  },
}

const role: Check<ServerFacts> = {
  id: 'server.role',
  title: 'Privilege to replicate',
  judge: ({ role: { name, superuser, replication } }) => {
    if (superuser) return passed(`"${name}" is a superuser; a role with REPLICATION and pg_monitor would be enough.`)
    if (replication) return passed(`"${name}" has REPLICATION.`)
    return failed(
      `"${name}" lacks REPLICATION, so neither backups nor WAL can be read.`,
      `ALTER ROLE ${quoteIdentifier(name)} REPLICATION;`,
    )
  },
}

const monitor: Check<ServerFacts> = {
  id: 'server.monitor',
  title: 'Privilege to see settings and sizes',
  judge: (facts) =>
    facts.role.readsAllSettings && facts.role.monitors
      ? passed(`"${facts.role.name}" may read settings and sizes.`)
      : warning(
          `"${facts.role.name}" may not read all settings and sizes, so some checks stay unknown.`,
          grantMonitor(facts),
        ),
}

const reread: Check<ServerFacts> = {
  id: 'server.reread',
  title: 'Privilege to read a block again',
  judge: ({ role: { name, readsFiles } }) =>
    readsFiles
      ? passed('A page that looks corrupt is read again, which tells a torn page from damage at once.')
      : warning(
          `"${name}" may not read single blocks, so a page that was being written during a backup is told from a corrupt one by its LSN alone.`,
          `GRANT EXECUTE ON FUNCTION pg_read_binary_file(text, bigint, bigint, boolean) TO ${quoteIdentifier(name)};`,
        ),
}

const files: Check<ServerFacts> = {
  id: 'server.files',
  title: 'How backups read the server',
  judge: ({ files: found }) =>
    found.kind === 'found'
      ? passed(
          `Backups read the files in ${found.cluster.dataDirectory} directly; they are proven to be this server's.`,
        )
      : passed(`Backups are read through replication. ${found.reason}`),
}

const walLevel: Check<ServerFacts> = {
  id: 'server.wal-level',
  title: 'WAL level',
  judge: (facts) =>
    onSetting(facts, 'wal_level', (value) =>
      value === 'minimal'
        ? failed(
            'wal_level is minimal: the log does not hold what a recovery needs.',
            alter('wal_level', 'replica', RESTART),
          )
        : passed(`wal_level is ${value}.`),
    ),
}

const walSenders: Check<ServerFacts> = {
  id: 'server.wal-senders',
  title: 'Free WAL senders',
  judge: (facts) =>
    onSetting(facts, 'max_wal_senders', (value) => {
      const free = Number(value) - facts.walSenderCount
      // The receiver holds one for ever, a backup one while it runs.
      const wanted = facts.slot.active ? 1 : 2
      const fix = alter('max_wal_senders', String(Math.max(10, facts.walSenderCount + 4)), RESTART)
      if (free <= 0) return failed(`All ${value} WAL senders are in use.`, fix)
      if (free < wanted)
        return warning(`${free} of ${value} WAL senders is free; a receiver and a backup need one each.`, fix)
      return passed(`${free} of ${value} WAL senders are free.`)
    }),
}

const freeSlots: Check<ServerFacts> = {
  id: 'server.slots',
  title: 'Free replication slots',
  judge: (facts) =>
    onSetting(facts, 'max_replication_slots', (value) => {
      if (facts.slot.exists) return passed(`The slot "${facts.slotName}" exists.`)
      const free = Number(value) - facts.slotCount
      if (free > 0) return passed(`${free} of ${value} slots are free.`)
      return failed(
        `All ${value} replication slots are in use, so "${facts.slotName}" cannot be made.`,
        alter('max_replication_slots', String(facts.slotCount + 4), RESTART),
      )
    }),
}

const slotLimit: Check<ServerFacts> = {
  id: 'server.slot-limit',
  title: 'Limit of WAL kept for slots',
  judge: (facts) =>
    onSetting(facts, 'max_slot_wal_keep_size', (value) => {
      const megabytes = Number(value)
      if (megabytes < 0) {
        return warning(
          'max_slot_wal_keep_size is unlimited: while no receiver runs, pg_wal grows until the disk is full and the server stops.',
          alter('max_slot_wal_keep_size', '64GB', `${RELOAD} -- choose what the disk can spare`),
        )
      }
      if (megabytes < 1024) {
        return warning(
          `max_slot_wal_keep_size is ${megabytes} MB: a short pause of the receiver loses the slot, and with it every moment until the next backup.`,
          alter('max_slot_wal_keep_size', '16GB', RELOAD),
        )
      }
      return passed(`The slot may hold ${formatGiB(megabytes * 1024 ** 2)} before it is given up.`)
    }),
}

const idleSlot: Check<ServerFacts> = {
  id: 'server.idle-slot-timeout',
  title: 'Idle slots',
  judge: (facts) => {
    const value = facts.settings.get('idle_replication_slot_timeout')
    if (value === undefined) return skipped('This version keeps idle slots.')
    if (Number(value) === 0) return passed('Idle slots are kept.')
    return warning(
      `idle_replication_slot_timeout is ${value} s: a receiver that is away for longer loses the slot and the WAL in it.`,
      alter('idle_replication_slot_timeout', '0', RELOAD),
    )
  },
}

const fullPageWrites: Check<ServerFacts> = {
  id: 'server.full-page-writes',
  title: 'Full page writes',
  judge: (facts) =>
    onSetting(facts, 'full_page_writes', (value) =>
      value === 'on'
        ? passed('full_page_writes is on.')
        : failed(
            'full_page_writes is off: a page that is written during a backup cannot be repaired from the log.',
            alter('full_page_writes', 'on', RELOAD),
          ),
    ),
}

const checksums: Check<ServerFacts> = {
  id: 'server.checksums',
  title: 'Data checksums',
  judge: (facts) =>
    onSetting(facts, 'data_checksums', (value) =>
      value === 'on'
        ? passed('Every page carries a checksum, and every backup checks them.')
        : warning(
            'Data checksums are off: corruption by disk or memory is backed up without being noticed.',
            'Stop the server, run: pg_checksums --enable --progress -D DATA_DIRECTORY, and start it.',
          ),
    ),
}

const fsync: Check<ServerFacts> = {
  id: 'server.fsync',
  title: 'fsync',
  judge: (facts) =>
    onSetting(facts, 'fsync', (value) =>
      value === 'on'
        ? passed('fsync is on.')
        : failed(
            'fsync is off: a crash of the machine may leave this server corrupt, and backups then hold the corruption.',
            alter('fsync', 'on', RELOAD),
          ),
    ),
}

const archiving: Check<ServerFacts> = {
  id: 'server.archiving',
  title: 'Archiver',
  judge: (facts) =>
    onSetting(facts, 'archive_mode', (mode) => {
      if (mode === 'off') return passed('archive_mode is off; Retake receives WAL through its slot.')
      if (facts.archiver?.failing) {
        return warning(
          `archive_mode is ${mode} and archiving fails (${facts.archiver.lastFailedWal ?? 'unknown file'}): pg_wal grows without bound.`,
          "Repair archive_command, or switch it off: ALTER SYSTEM SET archive_mode = 'off'; -- then restart the server",
        )
      }
      return passed(`archive_mode is ${mode}, beside Retake; the two do not disturb each other.`)
    }),
}

const summarize: Check<ServerFacts> = {
  id: 'server.summarize-wal',
  title: 'WAL summaries',
  judge: (facts) => {
    const value = facts.settings.get('summarize_wal')
    if (value === undefined) return skipped('This version has no WAL summaries: increments go by the LSN of each page.')
    if (value === 'on') return passed('summarize_wal is on: increments over replication read only what changed.')
    return passed(
      `summarize_wal is ${value}: increments read every page. With it on, those over replication read only what changed.`,
    )
  },
}

const senderTimeout: Check<ServerFacts> = {
  id: 'server.sender-timeout',
  title: 'WAL sender timeout',
  judge: (facts) =>
    onSetting(facts, 'wal_sender_timeout', (value) => {
      const ms = Number(value)
      if (ms === 0) {
        return warning(
          'wal_sender_timeout is 0: when this machine dies, the server never notices and the slot stays in use.',
          alter('wal_sender_timeout', '60s', RELOAD),
        )
      }
      if (ms < 10_000) {
        return warning(
          `wal_sender_timeout is ${ms} ms: a short pause of storage or network breaks backups off.`,
          alter('wal_sender_timeout', '60s', RELOAD),
        )
      }
      return passed(`wal_sender_timeout is ${ms / 1000} s.`)
    }),
}

const walDirectory: Check<ServerFacts> = {
  id: 'server.wal-directory',
  title: 'Size of pg_wal',
  judge: (facts) => {
    if (facts.walDirectoryBytes === undefined) return unknown('This role may not list pg_wal.', grantMonitor(facts))
    const limit = Number(facts.settings.get('max_wal_size') ?? 1024) * 1024 ** 2
    const size = formatGiB(facts.walDirectoryBytes)
    // Twice max_wal_size is more than checkpoints alone explain: something holds WAL back.
    if (facts.walDirectoryBytes <= Math.max(2 * limit, 1024 ** 3)) return passed(`pg_wal holds ${size}.`)
    return warning(
      `pg_wal holds ${size}, far more than max_wal_size: a slot or a failing archiver keeps it.`,
      'SELECT slot_name, active, pg_size_pretty(pg_wal_lsn_diff(pg_current_wal_lsn(), restart_lsn)) FROM pg_replication_slots; -- receive or drop what is behind',
    )
  },
}

export const clockCheck: Check<ServerFacts> = {
  id: 'server.clock',
  title: 'Clocks of server and this machine',
  judge: ({ clockOffsetMs, clockUncertaintyMs }) => {
    const differenceMs = Math.max(0, Math.abs(clockOffsetMs) - clockUncertaintyMs)
    const said = `The server's clock is ${Math.abs(Math.round(clockOffsetMs))} ms ${clockOffsetMs >= 0 ? 'ahead of' : 'behind'} this machine's`
    if (differenceMs <= CLOCK_TOLERANCE_MS) return passed(`${said} (±${Math.ceil(clockUncertaintyMs)} ms).`)
    return warning(
      `${said}: a time target means the server's clock, so a moment read off this machine would miss.`,
      'timedatectl set-ntp true   # on both machines',
    )
  },
}

/** Settings that name a file a recovered server needs, or that holds configuration. */
const FILE_SETTINGS = [
  'config_file',
  'hba_file',
  'ident_file',
  'ssl_cert_file',
  'ssl_key_file',
  'ssl_ca_file',
  'krb_server_keyfile',
]

export const outsideFilesCheck: Check<ServerFacts> = {
  id: 'server.outside-files',
  title: 'Files outside the data directory',
  judge: (facts) => {
    const directory = facts.settings.get('data_directory')
    if (directory === undefined)
      return unknown('This role may not see where the data directory is.', grantMonitor(facts))
    const named = FILE_SETTINGS.map((name) => facts.settings.get(name)).filter(
      (file): file is string => file?.startsWith('/') === true && !file.startsWith(`${directory}/`),
    )
    // Supabase's Vault: without this key a perfect copy of the data cannot decrypt its secrets.
    const script = facts.settings.get('pgsodium.getkey_script')
    const files = [...new Set([...named, ...facts.includedFiles, ...(script ? [script] : [])])]
    if (files.length === 0)
      return passed('Configuration and keys lie in the data directory and are part of the backup.')
    const vault = script
      ? ' Without the key that pgsodium.getkey_script prints, Vault secrets cannot be decrypted after a restore.'
      : ''
    return warning(
      `Not in the backup, because it lies outside the data directory: ${files.join(', ')}.${vault}`,
      `tar -czf postgresql-config.tar.gz ${files.join(' ')}   # on the server, and keep it with the recovery kit`,
    )
  },
}

export const serverChecks: readonly Check<ServerFacts>[] = [
  version,
  role,
  monitor,
  reread,
  files,
  walLevel,
  walSenders,
  freeSlots,
  slotLimit,
  idleSlot,
  fullPageWrites,
  checksums,
  fsync,
  archiving,
  summarize,
  senderTimeout,
  walDirectory,
  clockCheck,
  outsideFilesCheck,
]
