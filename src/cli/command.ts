/** The shape of a command: what it is called and takes (data), and what its module does (loaded when it runs). */
import type { Clock } from '../base/clock.ts'
import type { ErrorCode } from '../base/error-codes.ts'
import type { Retake } from '../engine/open.ts'
import type { Terminal } from './terminal.ts'

export interface CommandOption {
  /** As commander writes it: `--at <target>`. */
  readonly flags: string
  readonly description: string
  readonly required?: true
  readonly choices?: readonly string[]
  /** May be given several times; the values become a list. */
  readonly repeatable?: true
  /** What the shell completes the value with. */
  readonly completes?: 'file' | 'directory'
}

export interface CommandArgument {
  readonly name: string
  readonly description: string
  readonly required?: true
  /** One or several; the last argument only. */
  readonly several?: true
  readonly choices?: readonly string[]
  readonly completes?: 'file' | 'directory'
}

export interface CommandDeclaration {
  /** `['restore', 'plan']` is `retake restore plan`. */
  readonly path: readonly string[]
  readonly summary: string
  readonly details?: string
  readonly examples: readonly { readonly command: string; readonly note: string }[]
  readonly arguments?: readonly CommandArgument[]
  readonly options?: readonly CommandOption[]
}

/** A folder of commands, such as `retake wal`. */
export interface CommandGroup {
  readonly name: string
  readonly summary: string
}

export interface CommandModule {
  readonly run: (context: CommandContext) => Promise<CommandOutcome>
}

/** Option values by commander's camel-case name. */
export type OptionValues = Readonly<Record<string, string | boolean | readonly string[] | undefined>>

export interface CommandContext {
  readonly args: readonly (string | undefined)[]
  readonly options: OptionValues
  /** The options that every command takes. */
  readonly global: OptionValues
  readonly env: NodeJS.ProcessEnv
  readonly directory: string
  readonly json: boolean
  /** False with `--no-input`, and where there is no terminal to ask on. */
  readonly interactive: boolean
  readonly signal: AbortSignal
  readonly clock: Clock
  readonly terminal: Terminal
  /** Opens the configured repository; the caller disposes it. */
  readonly open: () => Promise<Retake>
}

export interface CommandOutcome {
  /** The object of `--json`, without `schemaVersion`. */
  readonly data: object
  /** What a person reads on stdout; empty: nothing. */
  readonly text: string
  /** What was found wrong though nothing was thrown (`doctor`, `status`, `verify`): its exit status is that of the command. */
  readonly problem?: ErrorCode | undefined
  /** For `wal get` alone, whose status PostgreSQL reads. */
  readonly exitCode?: number
}
