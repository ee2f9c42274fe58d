#!/usr/bin/env -S node --max-semi-space-size=8
/** The `ingot` command: finds the subcommand, loads only that, and answers for what it throws. */
import { enableCompileCache } from 'node:module'
import { Command, CommanderError } from 'commander'
import { EXIT, Failure, FAILURES, messageOf } from '../base/failure.ts'
import { addCommonOptions } from './_common-options.ts'
import { readVersion } from './_version.ts'
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
  const program = new Command('ingot')
    .description('Golden images: one recipe builds, packs, validates and provisions.')
    .helpOption('-h, --help', 'show this help')
    .version(await readVersion(), '-V, --version', 'show the version')
    .addHelpText('after', EPILOGUE)
    .exitOverride()
    .showSuggestionAfterError()
  const name = argv.find((word) => !word.startsWith('-'))
  let exitCode: number = EXIT.done
  for (const entry of COMMANDS) {
    const command = program.command(entry.name).description(entry.summary).exitOverride()
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
  await program.parseAsync(argv, { from: 'user' })
  return exitCode
}

/** Prints what went wrong and gives the exit code. */
function answerFor(error: unknown, json: boolean): number {
  if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.done : EXIT.wrongUse
  if (error instanceof Failure) {
    if (json)
      process.stdout.write(
        `${JSON.stringify({ error: { code: error.code, title: FAILURES[error.code].title, message: error.message, details: error.details, fix: error.fix } })}\n`,
      )
    const told = error.code === 'INTERRUPTED' ? 'interrupted' : error.message
    process.stderr.write(`ingot: ${told}\n`)
    const { output } = error.details
    if (typeof output === 'string' && output.includes('\n'))
      process.stderr.write(`${output.replaceAll(/^/gm, '  | ')}\n`)
    if (error.fix) process.stderr.write(`       ${error.fix}\n`)
    return error.exit
  }
  process.stderr.write(
    `ingot: a bug: ${error instanceof Error ? (error.stack ?? messageOf(error)) : String(error)}\n`,
  )
  return EXIT.bug
}

const words = process.argv.slice(2)
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') process.exit(EXIT.done) // `ingot … | head`
  throw error
})
process.stderr.on('error', () => {}) // nobody listens any more: the work goes on
try {
  process.exitCode = await main(words)
} catch (error) {
  process.exitCode = answerFor(error, words.includes('--json'))
}
