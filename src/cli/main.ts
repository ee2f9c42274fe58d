#!/usr/bin/env node
/** The `ingot` command: finds the subcommand, loads only that, and answers for what it throws. */
import { enableCompileCache } from 'node:module'
import { Command, CommanderError, Option } from 'commander'
import { EXIT, Failure, FAILURES, messageOf } from '../base/failure.ts'
import type { CommandModule } from './cli.ts'

enableCompileCache()

interface Entry {
  name: string
  summary: string
  load: () => Promise<CommandModule>
}

/** Every subcommand, in the order of the help. */
const COMMANDS: readonly Entry[] = [
  {
    name: 'build',
    summary: 'build a golden image from a recipe',
    load: () => import('./commands/build.ts'),
  },
  {
    name: 'pack',
    summary: 'change an image file as a recipe says, offline',
    load: () => import('./commands/pack.ts'),
  },
  {
    name: 'validate',
    summary: 'check an image or running hosts against a recipe; change nothing',
    load: () => import('./commands/validate.ts'),
  },
  {
    name: 'provision',
    summary: 'bring running hosts to the state of a recipe, over SSH',
    load: () => import('./commands/provision.ts'),
  },
  {
    name: 'boot-test',
    summary: 'boot an image in QEMU and see that it works',
    load: () => import('./commands/boot-test.ts'),
  },
  {
    name: 'recipe',
    summary: 'check, show or describe the language of recipes',
    load: () => import('./commands/recipe.ts'),
  },
  {
    name: 'doctor',
    summary: 'say what this host can do and what it lacks',
    load: () => import('./commands/doctor.ts'),
  },
  {
    name: 'config',
    summary: 'show the settings that are in force',
    load: () => import('./commands/config.ts'),
  },
  {
    name: 'completion',
    summary: 'print shell completions for bash, zsh or fish',
    load: () => import('./commands/completion.ts'),
  },
  {
    name: 'sahara-image-pack',
    summary: 'the command line of OpenStack Sahara’s image packer',
    load: () => import('./commands/sahara-image-pack.ts'),
  },
]

const EPILOGUE = `
Examples:
  ingot build recipes/debian-12.yaml                      make a bootable image
  ingot pack recipes/web-server.yaml --image disk.qcow2   change an image
  ingot validate recipes/web-server.yaml --image disk.qcow2
  ingot provision recipes/web-server.yaml --ssh root@web-01
  ingot pack RECIPE --help                                shows the recipe's own arguments too

Exit codes: 0 done, 1 failed, 2 wrong use, 3 not found, 4 the answer is no, 70 a bug, 130 interrupted.`

/** The options that every subcommand has. */
export function addCommonOptions(command: Command): Command {
  return command
    .addOption(
      new Option(
        '--json',
        'results as JSON on standard output, progress as JSON lines on standard error',
      ).helpGroup('Common options:'),
    )
    .addOption(new Option('-q, --quiet', 'no progress').helpGroup('Common options:'))
    .addOption(new Option('-v, --verbose', 'log every event').helpGroup('Common options:'))
    .addOption(
      new Option('--config <file>', 'the configuration file (see `ingot config show`)').helpGroup(
        'Common options:',
      ),
    )
    .helpOption('-h, --help', 'show this help')
    .helpCommand(false)
}

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
    addCommonOptions(command)
    const { openCli } = await import('./_open-cli.ts')
    const words = argv.slice(argv.indexOf(entry.name) + 1)
    const module = await entry.load()
    await module.define(command, words, (chosen) =>
      openCli(chosen.optsWithGlobals(), (code) => (exitCode = code)),
    )
  }
  if (argv.length === 0) {
    process.stdout.write(program.helpInformation() + EPILOGUE + '\n')
    return EXIT.wrongUse
  }
  await program.parseAsync(argv, { from: 'user' })
  return exitCode
}

async function readVersion(): Promise<string> {
  const { readFile } = await import('node:fs/promises')
  const text = await readFile(new URL('../../package.json', import.meta.url), 'utf8')
  return String((JSON.parse(text) as { version: unknown }).version)
}

/** Prints what went wrong and gives the exit code. */
function answerFor(error: unknown, json: boolean): number {
  if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.done : EXIT.wrongUse
  if (error instanceof Failure) {
    if (json)
      process.stdout.write(
        `${JSON.stringify({ error: { code: error.code, title: FAILURES[error.code].title, message: error.message, details: error.details, fix: error.fix } })}\n`,
      )
    process.stderr.write(`ingot: ${error.message}\n`)
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
try {
  process.exitCode = await main(words)
} catch (error) {
  process.exitCode = answerFor(error, words.includes('--json'))
}
