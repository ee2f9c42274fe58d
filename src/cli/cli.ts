/**
 * The command. `main.ts` finds the subcommand and turns what was thrown into an answer; each file in
 * `commands/` is one subcommand; this file is what they are given. Only this room writes to the
 * terminal and ends the process; everything else is told in what is given to it.
 */
import type { Command } from 'commander'
import type { LoadedConfig } from '../app/config.ts'
import type { Context } from '../base/context.ts'

/** What a subcommand is given. */
export interface Cli {
  readonly configuration: LoadedConfig
  readonly context: Context
  /** Standard output is for programs: results as JSON, progress as JSON lines on standard error. */
  readonly json: boolean
  /** Whether people watch: colours and moving lines are welcome. */
  readonly terminal: boolean
  /** Prints a result on standard output. */
  print(text: string): void
  /** Says something to the person on standard error. */
  say(text: string): void
  /** The exit code of the process, unless something is thrown. */
  exit(code: number): void
}

/** A subcommand, loaded when it is asked for. */
export interface CommandModule {
  /**
   * Adds options, arguments and the action. `argv` are the words after the subcommand, so that a
   * recipe named among them can bring options of its own. `openCli` is called by the action, once
   * the common options are known.
   */
  define(command: Command, argv: readonly string[], openCli: OpenCli): void | Promise<void>
}

/**
 * Makes the `Cli` out of the common options, which every subcommand has. `settings` are those that the
 * subcommand's own flags give; what is undefined among them is left as it is.
 */
export type OpenCli = (command: Command, settings?: Readonly<Record<string, unknown>>) => Cli
