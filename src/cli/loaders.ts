/** What each command of the table does; loaded when it runs, so that `--help` answers at once. */
import type { CommandModule } from './command.ts'

/** By the words of the command's path. */
export const commandLoaders: Readonly<Record<string, () => Promise<CommandModule>>> = {
  demo: () => import('./commands/demo.ts'),
  init: () => import('./commands/init.ts'),
  doctor: () => import('./commands/doctor.ts'),
  backup: () => import('./commands/backup.ts'),
  backups: () => import('./commands/backups.ts'),
  window: () => import('./commands/window.ts'),
  verify: () => import('./commands/verify.ts'),
  prune: () => import('./commands/prune.ts'),
  'retention simulate': () => import('./commands/retention-simulate.ts'),
  'retention hold': () => import('./commands/retention-hold.ts'),
  'retention release': () => import('./commands/retention-release.ts'),
  'wal receive': () => import('./commands/wal-receive.ts'),
  'wal get': () => import('./commands/wal-get.ts'),
  'restore plan': () => import('./commands/restore-plan.ts'),
  'restore apply': () => import('./commands/restore-apply.ts'),
  status: () => import('./commands/status.ts'),
  'repo mirrors': () => import('./commands/repo-mirrors.ts'),
  'repo sync': () => import('./commands/repo-sync.ts'),
  'repo heal': () => import('./commands/repo-heal.ts'),
  'repo primary': () => import('./commands/repo-primary.ts'),
  'keys list': () => import('./commands/keys-list.ts'),
  'keys kit': () => import('./commands/keys-kit.ts'),
  'repo stats': () => import('./commands/repo-stats.ts'),
  'repo check': () => import('./commands/repo-check.ts'),
  'repo rebuild': () => import('./commands/repo-rebuild.ts'),
  'repo copy': () => import('./commands/repo-copy.ts'),
  completion: () => import('./commands/completion.ts'),
}
