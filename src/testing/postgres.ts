/** A real PostgreSQL for tests: a cluster of its own in a temporary directory, reached by a socket there. */
import { chown, mkdtemp, rm } from 'node:fs/promises'
import { globSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { after } from 'node:test'
import { findProgram, runTool } from '../base/process.ts'

export interface Postgres extends AsyncDisposable {
  /** Makes an empty database; its URL. */
  createDatabase(): Promise<string>
  /** Ends the server as if the power had gone, or in good order. */
  stop(mode?: 'immediate' | 'fast'): Promise<void>
  /** Starts it again, with the same address and data. */
  start(): Promise<void>
}

const USER = 'postgres'
const START_MS = 60_000

/** Why there is no PostgreSQL here, for the `skip` of tests; false if there is one. */
export const noPostgres: string | false =
  programs() === undefined ? 'PostgreSQL is not installed' : false

/** A cluster for the tests of one file, gone when they are done. Called at the top of the file. */
export async function openPostgres(
  settings: Readonly<Record<string, string>> = {},
): Promise<Postgres> {
  const postgres = await startPostgres(settings)
  after(() => postgres[Symbol.asyncDispose]())
  return postgres
}

/**
 * A cluster, gone when it is disposed of. PostgreSQL refuses to run as root, so there it runs as the user
 * that its package made. Nothing is synced to disk.
 */
export async function startPostgres(
  settings: Readonly<Record<string, string>> = {},
  parent: string = tmpdir(),
): Promise<Postgres> {
  const bin = programs()
  if (bin === undefined) throw new Error('PostgreSQL is not installed')
  const directory = await mkdtemp(join(parent, 'ingot-postgres-'))
  const data = join(directory, 'data')
  const asUser = await handOver(directory)
  const run = (program: string, ...args: string[]) =>
    runTool([...asUser, join(bin, program), ...args], { cwd: directory, timeoutMs: START_MS })
  await run(
    'initdb',
    '--no-sync',
    '--auth=trust',
    '--encoding=UTF8',
    '--locale=C.UTF-8',
    `--username=${USER}`,
    data,
  )
  const options = Object.entries({
    listen_addresses: '',
    unix_socket_directories: directory,
    fsync: 'off',
    full_page_writes: 'off',
    max_connections: '100',
    ...settings,
  }).map(([name, value]) => `-c ${name}='${value}'`)
  const start = async () => {
    await run(
      'pg_ctl',
      'start',
      '--wait',
      '--silent',
      '-D',
      data,
      '-l',
      join(directory, 'log'),
      '-o',
      options.join(' '),
    )
  }
  const stop = async (mode: 'immediate' | 'fast' = 'fast') => {
    await run('pg_ctl', 'stop', '--wait', '--silent', '-D', data, '-m', mode)
  }
  await start()
  let count = 0
  return {
    async createDatabase() {
      const name = `test${++count}`
      await run('createdb', '-h', directory, '-U', USER, name)
      return `postgres://${USER}@/${name}?host=${encodeURIComponent(directory)}`
    },
    start,
    stop,
    async [Symbol.asyncDispose]() {
      await stop('immediate').catch(() => {}) // a test may have stopped it
      await rm(directory, { recursive: true, force: true })
    },
  }
}

/** Gives the directory to who will run the server; the words that make a command run as that user. */
async function handOver(directory: string): Promise<string[]> {
  if (process.getuid?.() !== 0) return []
  const idOf = async (flag: string) => Number((await runTool(['id', flag, USER])).toString())
  await chown(directory, await idOf('-u'), await idOf('-g'))
  return ['runuser', '-u', USER, '--']
}

/** The directory of initdb and its fellows: the newest that Debian has packaged, else wherever PATH says. */
function programs(): string | undefined {
  const packaged = globSync('/usr/lib/postgresql/*/bin/initdb')
  const newest = packaged.toSorted((a, b) => versionOf(a) - versionOf(b)).at(-1)
  const found = newest ?? findProgram('initdb')
  return found === undefined ? undefined : dirname(found)
}

function versionOf(program: string): number {
  return Number(/postgresql\/(\d+)/.exec(program)?.[1] ?? 0)
}
