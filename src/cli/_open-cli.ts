import { loadConfig } from '../app/config.ts'
import { makeContext } from '../base/context.ts'
import { EXIT } from '../base/failures.ts'
import type { Cli } from './cli.ts'
import { openLog } from './_log.ts'
import { openProgress } from './_progress.ts'

/** The values of the common options. */
interface CommonOptions {
  json?: boolean
  quiet?: boolean
  verbose?: boolean
  config?: string
}

/** What the subcommand is given: configuration, context with Ctrl-C as its signal, and the terminal. */
export function openCli(
  options: CommonOptions,
  setExit: (code: number) => void,
  settings: Readonly<Record<string, unknown>> = {},
): Cli {
  const configuration = loadConfig({
    file: options.config,
    flags: { ...settings, ...(options.verbose && { log_level: 'debug' }) },
  })
  const json = options.json ?? false
  const terminal =
    process.stderr.isTTY &&
    !json &&
    process.env['NO_COLOR'] === undefined &&
    process.env['TERM'] !== 'dumb'
  const progress = openProgress({
    json,
    terminal,
    quiet: options.quiet ?? false,
    write: (text) => void process.stderr.write(text),
    columns: () => process.stderr.columns ?? 80,
  })
  const log = openLog(configuration.config.log_level, {
    json,
    write: (text) => progress.aside(text),
  })
  const context = makeContext({
    log,
    signal: interruptSignal(progress.aside),
    progress: progress.show,
  })
  return {
    configuration,
    context,
    json,
    terminal,
    print: (text) => {
      progress.clear()
      process.stdout.write(text.endsWith('\n') ? text : `${text}\n`)
    },
    say: (text) => progress.aside(text.endsWith('\n') ? text : `${text}\n`),
    exit: setExit,
  }
}

/**
 * Aborts on the first Ctrl-C (or TERM, or HUP), so that everything can put itself in order; the second one ends at once.
 * Also when nobody reads standard output any more.
 */
function interruptSignal(say: (text: string) => void): AbortSignal {
  const controller = new AbortController()
  const onSignal = (signal: NodeJS.Signals) => {
    if (controller.signal.aborted) process.exit(EXIT.interrupted)
    say(`\n${signal}: stopping; once more to stop at once\n`)
    controller.abort()
  }
  process.stdout.once('error', () => controller.abort())
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, onSignal)
  return controller.signal
}
