#!/usr/bin/env -S node --max-semi-space-size=8
/** The `ingot` command: finds the subcommand, loads only that, and answers for what it throws. */
import { enableCompileCache } from 'node:module'
import { type Command, CommanderError } from 'commander'
import { Failure, isFailure, messageOf } from '../base/failure.ts'
import { EXIT, FAILURES } from '../base/failures.ts'
import { addCommonOptions } from './_common-options.ts'
import { addSubcommand, makeProgram } from './_program.ts'
import { COMMANDS } from './commands.ts'

enableCompileCache()

const EPILOGUE = `
Examples:
  ingot build recipes/debian-12.yaml                      make a bootable image
  ingot pack recipes/web-server.yaml --image disk.qcow2   change an image
  ingot validate recipes/web-server.yaml --image disk.qcow2
  ingot provision recipes/web-server.yaml --ssh root@web-01
  ingot factory target openstack --template recipes/debian-12.yaml
  ingot pack RECIPE --help                                shows the recipe's own arguments too

Exit codes: 0 done, 1 failed, 2 wrong use, 3 not found, 4 the answer is no, 70 a bug, 130 interrupted.`

async function main(argv: readonly string[]): Promise<number> {
  const program = (await makeProgram())
    .addHelpText('after', EPILOGUE)
    .exitOverride()
    .configureOutput({ outputError: () => {} }) // `answerFor` tells
  const name = argv.find((word) => !word.startsWith('-'))
  let exitCode: number = EXIT.done
  for (const entry of COMMANDS) {
    const command = addSubcommand(program, entry.name, entry.summary)
    if (entry.name !== name) continue
    const { openCli } = await import('./_open-cli.ts')
    const words = argv.slice(argv.indexOf(entry.name) + 1)
    const module = await entry.load()
    await module.define(command, words, (chosen, settings) =>
      openCli(chosen.optsWithGlobals(), (code) => (exitCode = code), settings),
    )
    addCommonOptions(command)
  }
  if (argv.length === 0) {
    process.stdout.write(program.helpInformation() + EPILOGUE + '\n')
    return EXIT.wrongUse
  }
  try {
    await program.parseAsync(argv, { from: 'user' })
  } catch (error) {
    throw withHelp(error, `See \`${placeOf(program, argv)} --help\`.`)
  }
  return exitCode
}

/** What was spoken to: `ingot factory base`. */
function placeOf(program: Command, [word = '', ...rest]: readonly string[]): string {
  const below = program.commands.find((one) => one.name() === word)
  return below === undefined ? program.name() : `${program.name()} ${placeOf(below, rest)}`
}

/** What is said of wrong words, by Commander too, with the help that tells the right ones. */
function withHelp(error: unknown, fix: string): unknown {
  if (isFailure(error, 'USAGE') && error.fix === FAILURES.USAGE.fix) {
    const { message, details } = error
    return new Failure('USAGE', message, { details, cause: error, fix })
  }
  if (!(error instanceof CommanderError) || error.exitCode === 0) return error
  if (error.code === 'commander.help') return new Failure('USAGE', 'wanted a subcommand', { fix })
  const [told = '', hint] = error.message.replace(/^error: /, '').split('\n')
  return new Failure('USAGE', told, { fix: hint?.replace(/^\((.*)\)$/, '$1') ?? fix })
}

/** Prints what went wrong and gives the exit code. */
function answerFor(error: unknown, json: boolean): number {
  if (error instanceof CommanderError) return EXIT.done // help, or the version
  if (error instanceof Failure) {
    const { code, message, details, fix, exit } = error
    if (json) printError({ code, title: FAILURES[code].title, message, details, fix })
    process.stderr.write(`ingot: ${code === 'INTERRUPTED' ? 'interrupted' : message}\n`)
    const { output } = details
    if (typeof output === 'string' && output.includes('\n'))
      process.stderr.write(`${output.replaceAll(/^/gm, '  | ')}\n`)
    if (fix) process.stderr.write(`       ${fix}\n`)
    return exit
  }
  if (json) printError({ code: 'BUG', title: 'A bug', message: messageOf(error) })
  process.stderr.write(
    `ingot: a bug: ${error instanceof Error ? (error.stack ?? messageOf(error)) : String(error)}\n`,
  )
  return EXIT.bug
}

function printError(error: object): void {
  process.stdout.write(`${JSON.stringify({ error })}\n`)
}

const words = process.argv.slice(2)
let isReaderGone = false
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code !== 'EPIPE') throw error
  isReaderGone = true // `ingot … | head`: what is under way is told to stop, and puts itself in order
})
process.stderr.on('error', () => {}) // nobody listens any more: the work goes on
try {
  process.exitCode = await main(words)
} catch (error) {
  const isEnough = isReaderGone && isFailure(error, 'INTERRUPTED')
  process.exitCode = isEnough ? EXIT.done : answerFor(error, words.includes('--json'))
}
