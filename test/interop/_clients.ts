/** OpenStack's own commands, run one after the other (see clients.py). */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { join } from 'node:path'
import { runProcess, startProcess, stopProcess } from '../../src/base/process.ts'

/** The Python that Debian's packages of the clients are for. */
export const PYTHON = '/usr/bin/python3'

/** Why the clients cannot be run here, or false. */
export async function noClients(): Promise<string | false> {
  if (process.env['INGOT_TEST_FULL'] !== '1') return 'takes minutes: INGOT_TEST_FULL=1'
  const { code } = await runProcess([PYTHON, '-c', 'import glanceclient, openstackclient'])
  return code === 0 ? false : 'OpenStack’s clients are not installed: scripts/setup --full'
}

export interface Ran {
  readonly code: number
  readonly stdout: Buffer
  readonly stderr: string
}

export interface RunWith {
  /** Path of a file; left out, the command sits at a terminal. */
  readonly stdin?: string
  /** Over those of the client. */
  readonly env?: Readonly<Record<string, string>>
}

type Client = 'openstack' | 'glance'

/** Somebody who types commands: with these variables in the environment. */
export interface Person {
  run(client: Client, words: readonly string[], options?: RunWith): Promise<Ran>
  /** The command must succeed; what it prints. */
  ok(client: Client, words: string, options?: RunWith): Promise<string>
  /** As `ok`, with `-f json` for openstack; parsed. */
  json<T = Record<string, unknown>>(words: string, options?: RunWith): Promise<T>
  /** The command must fail with a message for people that matches; no stack trace, no broken connection. */
  fails(client: Client, words: string, message: RegExp, options?: RunWith): Promise<void>
}

export interface Clients extends AsyncDisposable {
  as(env: Readonly<Record<string, string>>): Person
}

/** Closing it ends the process behind it. */
export async function openClients(home: string): Promise<Clients> {
  const env = {
    PATH: '/usr/bin:/bin',
    HOME: home,
    LC_ALL: 'C.UTF-8',
    COLUMNS: '200',
    CLIFF_MAX_TERM_WIDTH: '200',
  }
  const child = startProcess([PYTHON, join(import.meta.dirname, 'clients.py')], {
    env,
    cwd: home,
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  const { stdin, stdout } = child
  if (!stdin || !stdout) throw new Error('no pipes')
  const lines = createInterface(stdout)
  const gone = once(child, 'exit').then(() => {
    throw new Error('clients.py ended')
  })
  gone.catch(() => {})
  const answer = async () => String((await Promise.race([once(lines, 'line'), gone]))[0])
  assert.equal(await answer(), 'ready')

  let last: Promise<unknown> = Promise.resolve()
  const run = async (client: Client, words: readonly string[], given: RunWith) => {
    const ask = async (): Promise<Ran> => {
      const told = answer()
      const line = { client, words, env: given.env ?? {}, stdin: given.stdin ?? null }
      stdin.write(`${JSON.stringify(line)}\n`)
      const { code, ...streams } = JSON.parse(await told) as Record<'stdout' | 'stderr', string> & {
        code: number
      }
      const stdout = Buffer.from(streams.stdout, 'base64')
      return { code, stdout, stderr: Buffer.from(streams.stderr, 'base64').toString() }
    }
    const ran = last.then(ask, ask)
    last = ran
    return await ran
  }
  return {
    as: (own) =>
      makePerson((client, words, options = {}) =>
        run(client, words, { ...options, env: { ...own, ...options.env } }),
      ),
    [Symbol.asyncDispose]: async () => await stopProcess(child),
  }
}

function makePerson(run: Person['run']): Person {
  const ok: Person['ok'] = async (client, words, options) => {
    const { code, stdout, stderr } = await run(client, split(words), options)
    assert.equal(code, 0, `${client} ${words}: ${stderr}${stdout.toString().slice(0, 2000)}`)
    return stdout.toString()
  }
  return {
    run,
    ok,
    json: async <T>(words: string, options?: RunWith) =>
      JSON.parse(await ok('openstack', `${words} -f json`, options)) as T,
    fails: async (client, words, message, options) => {
      const { code, stdout, stderr } = await run(client, split(words), options)
      const said = `${client} ${words}: ${stderr}${stdout.toString().slice(0, 2000)}`
      assert.notEqual(code, 0, said)
      assert.match(stderr, message, said)
      assert.doesNotMatch(said, /Traceback|Connection (aborted|reset)|Errno|Broken pipe/i)
    },
  }
}

/** Words of a line; those in single quotes are one. */
function split(line: string): string[] {
  return [...line.matchAll(/'([^']*)'|\S+/g)].map(([word, quoted]) => quoted ?? word)
}
