/**
 * One connection to a host: an ssh that stays as long as the remote is open. Its own session is the
 * keeper (see `_ssh-shell.ts`), a shell that does small work on files at the cost of one round trip;
 * commands run in further sessions through its control socket, which cost no new login. When it
 * ends, by whatever cause, everything on it is lost.
 */
import type { ChildProcess } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { mkdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { BoundedOutput } from '../base/bounded-output.ts'
import type { Context } from '../base/context.ts'
import { Failure } from '../base/failure.ts'
import { removeLeftovers, workingPath } from '../base/leftovers.ts'
import { defaultTempDir } from '../base/paths.ts'
import { exitOf, startProcess, stopProcess } from '../base/process.ts'
import { KiB } from '../base/units.ts'
import { MarkedStream } from './_marked-stream.ts'
import { type Destination, parseDestination } from './_ssh-destination.ts'
import { explainRefusal } from './_ssh-refusals.ts'
import { toKeeperLines, toListener } from './_ssh-shell.ts'

export interface SshOptions {
  /** `[USER@]HOST[:PORT]`; a HOST may be an alias of the ssh configuration. */
  destination: string
  /** Become root by `sudo -n` when the user is not. */
  become?: boolean | undefined
  /** Instead of the user's and the system's ssh configuration. */
  configFile?: string | undefined
  /** The only key that is tried. */
  identityFile?: string | undefined
  knownHostsFile?: string | undefined
  /** More of ssh_config(5): `['ProxyJump=bastion']`. */
  extra?: readonly string[] | undefined
  /** Words in front of ssh, of the network in which the host is found. */
  launcher?: readonly string[] | undefined
}

/** What must be so, whatever a configuration says for people at a terminal. The first value holds. */
const REQUIRED_SETTINGS: readonly string[] = [
  'BatchMode=yes',
  'ControlMaster=yes',
  'ControlPersist=no',
  'RequestTTY=no',
  'RemoteCommand=none',
  'PermitLocalCommand=no',
  'ClearAllForwardings=yes',
  'ForwardAgent=no',
  'ForwardX11=no',
  'EscapeChar=none',
  'LogLevel=INFO',
  'IgnoreUnknown=StdinNull,SessionType,ForkAfterAuthentication', // of 8.7 and later
  'StdinNull=no',
  'SessionType=default',
  'ForkAfterAuthentication=no',
]
/** What the caller's `extra` may say otherwise. */
const USUAL_SETTINGS: readonly string[] = [
  'ConnectTimeout=20',
  'ServerAliveInterval=15',
  'ServerAliveCountMax=3',
]
/** For logging in and becoming root, which may wait for a touch of a security key. */
const READY_TIMEOUT_MS = 90_000
/** How long the keeper may be silent when something is asked of it. */
const ANSWER_TIMEOUT_MS = 120_000
const CLOSE_GRACE_MS = 5000
/** A socket's path is at most 107 bytes; our part of it has up to 40, and ssh appends 17 for a while. */
const MAX_TEMP_DIR = 48

/** What the keeper was asked, and what it has answered so far. */
interface Question {
  answer: PromiseWithResolvers<KeeperAnswer>
  output: BoundedOutput
}

/** What a piece of work on files gave. */
export interface KeeperAnswer {
  code: number
  output: Buffer
}

export class SshConnection {
  readonly destination: Destination
  readonly #directory: string
  readonly #options: SshOptions
  readonly #master: ChildProcess
  readonly #nonce = randomBytes(16).toString('hex')
  readonly #name = `ingot-${randomBytes(6).toString('hex')}`
  readonly #said = new BoundedOutput(32 * KiB)
  readonly #ended: Promise<void>
  readonly #ready = Promise.withResolvers<void>()
  readonly #heard = new MarkedStream(this.#nonce)
  /** In the order asked, which is the order of the answers; by number. */
  readonly #questions = new Map<number, Question>()
  #asked = 0
  #sessions = 0
  #watch: NodeJS.Timeout | undefined
  #uid: string | undefined
  #lost: Failure | undefined

  constructor(options: SshOptions, destination: Destination, directory: string) {
    this.#options = options
    this.destination = destination
    this.#directory = directory
    this.#ready.promise.catch(() => {}) // when it ends, nobody may be waiting any more
    this.#master = startProcess(this.#masterArgv(), { stdio: ['pipe', 'pipe', 'pipe'] })
    this.#master.stdin?.on('error', () => {}) // its end says more
    this.#master.stdin?.write(toKeeperLines(this.#nonce, this.#name, options.become ?? false))
    this.#master.stdout?.on('data', (chunk: Buffer) => this.#hear(chunk))
    this.#master.stderr?.on('data', (chunk: Buffer) => this.#said.add(chunk))
    this.#ended = exitOf(this.#master, 'ssh').then(
      () => this.#becomeLost(undefined),
      (error: unknown) => this.#becomeLost(error),
    )
  }

  /** Resolves when we are root there. Fails as `openSsh`. */
  async ready(signal: AbortSignal): Promise<void> {
    const giveUp = (failure: Failure) => this.#ready.reject(failure)
    const { text } = this.destination
    const onAbort = () =>
      giveUp(new Failure('INTERRUPTED', `${text}: interrupted while logging in`))
    const timer = setTimeout(
      () =>
        giveUp(
          new Failure(
            'REMOTE_UNREACHABLE',
            `${text}: logging in was not done after ${READY_TIMEOUT_MS / 1000} s`,
          ),
        ),
      READY_TIMEOUT_MS,
    )
    signal.addEventListener('abort', onAbort, { once: true })
    try {
      if (signal.aborted) onAbort()
      await this.#ready.promise
    } finally {
      clearTimeout(timer)
      signal.removeEventListener('abort', onAbort)
    }
  }

  /** Why the connection is no more; undefined while it holds. */
  get lost(): Failure | undefined {
    return this.#lost
  }

  /** What opens one more session, to a listener as root. Fails rather than log in anew. */
  nextSession(): { name: string; argv: string[] } {
    const settings = ['ControlMaster=no', 'BatchMode=yes', 'ProxyCommand=false', 'LogLevel=ERROR']
    const name = `${this.#name}-${++this.#sessions}`
    const listener = toListener(name, this.#uid === '0' ? 'user' : 'root')
    const way = ['ssh', '-F', 'none', '-T', '-S', this.#socket, ...toFlags(settings)]
    return { name, argv: [...way, '--', 'host', listener] }
  }

  /**
   * Asks the keeper (see `_ssh-shell.ts`), which does one thing after the other. At most
   * `maxOutput` bytes of what it prints are kept. Fails with REMOTE_LOST.
   */
  async ask(what: string | Uint8Array, maxOutput = 64 * KiB): Promise<KeeperAnswer> {
    if (this.#lost) throw this.#lost
    const id = ++this.#asked
    const answer = Promise.withResolvers<KeeperAnswer>()
    this.#questions.set(id, { answer, output: new BoundedOutput(maxOutput) })
    this.#watch ??= setTimeout(() => this.#giveUp(), ANSWER_TIMEOUT_MS)
    this.#master.stdin?.write(
      Buffer.concat([`${id} `, what, '\n'].map((part) => Buffer.from(part))),
    )
    return await answer.promise
  }

  /** Ends whatever still runs there for us, then the connection. */
  async close(): Promise<void> {
    this.#lost ??= this.#gone('it was closed')
    this.#master.stdin?.end()
    const timer = setTimeout(() => void stopProcess(this.#master), CLOSE_GRACE_MS)
    await this.#ended
    clearTimeout(timer)
    await rm(this.#directory, { recursive: true, force: true })
  }

  get #socket(): string {
    return join(this.#directory, 's')
  }

  #masterArgv(): string[] {
    const { configFile, identityFile, knownHostsFile, extra = [], launcher = [] } = this.#options
    const { user, host, port } = this.destination
    return [
      ...launcher,
      'ssh',
      ...(configFile === undefined ? [] : ['-F', configFile]),
      ...(identityFile === undefined ? [] : ['-i', identityFile, '-o', 'IdentitiesOnly=yes']),
      ...(knownHostsFile === undefined ? [] : ['-o', `UserKnownHostsFile="${knownHostsFile}"`]),
      ...toFlags([
        `ControlPath=${this.#socket}`,
        ...REQUIRED_SETTINGS,
        ...extra,
        ...USUAL_SETTINGS,
      ]),
      ...(port === undefined ? [] : ['-p', String(port)]),
      ...(user === undefined ? [] : ['-l', user]),
      '--',
      host,
      toListener(this.#name, 'user'),
    ]
  }

  /** What the keeper says: marks of ours, and between them what a piece of work printed. */
  #hear(chunk: Buffer): void {
    this.#watch?.refresh()
    for (const part of this.#heard.push(chunk)) {
      if (typeof part !== 'string') {
        if (this.#uid === undefined) this.#said.add(part) // a login shell's chatter
        const [current] = this.#questions.values()
        current?.output.add(part)
        continue
      }
      const [verb, word = '', code] = part.split(' ')
      if (verb === 'hello') this.#uid = word
      else if (verb === 'ready') this.#ready.resolve()
      else if (verb === 'did') this.#takeAnswer(Number(word), Number(code))
    }
  }

  #takeAnswer(id: number, code: number): void {
    const question = this.#questions.get(id)
    this.#questions.delete(id)
    if (this.#questions.size === 0) {
      clearTimeout(this.#watch)
      this.#watch = undefined
    }
    question?.answer.resolve({ code, output: question.output.toBuffer() })
  }

  /** The keeper has said nothing for long, though it was asked. */
  #giveUp(): void {
    this.#lost ??= this.#gone('it answers no more')
    void stopProcess(this.#master)
  }

  #becomeLost(cause: unknown): void {
    const said = this.#said.toBuffer().toString()
    this.#ready.reject(
      cause instanceof Failure
        ? cause
        : explainRefusal({
            destination: this.destination,
            become: this.#options.become ?? false,
            uid: this.#uid,
            said,
            identityFile: this.#options.identityFile,
          }),
    )
    this.#lost ??= this.#gone(said.trim().split(/\r?\n/).at(-1) || 'the connection ended')
    clearTimeout(this.#watch)
    for (const { answer } of this.#questions.values()) answer.reject(this.#lost)
  }

  #gone(why: string): Failure {
    return new Failure('REMOTE_LOST', `${this.destination.text}: ${why}`)
  }
}

/** Logs in and becomes root. Fails as `openSsh`. */
export async function openSshConnection(
  options: SshOptions,
  context: Context,
): Promise<SshConnection> {
  const destination = parseDestination(options.destination)
  const connection = new SshConnection(options, destination, await makeSocketDirectory())
  try {
    await connection.ready(context.signal)
    return connection
  } catch (error) {
    await connection.close()
    throw error
  }
}

function toFlags(settings: readonly string[]): string[] {
  return settings.flatMap((setting) => ['-o', setting])
}

/**
 * A directory of our own for the control socket, with a path short enough and free of what ssh would
 * expand. Those of dead processes are removed.
 */
async function makeSocketDirectory(): Promise<string> {
  const tempDir = defaultTempDir()
  const usable = tempDir.length <= MAX_TEMP_DIR && /^[A-Za-z0-9/._-]+$/.test(tempDir)
  const family = join(usable ? tempDir : '/tmp', 'ssh')
  const path = workingPath(family, randomBytes(4).toString('hex'))
  await removeLeftovers(family).catch(() => {}) // some may be other users'
  await mkdir(path, { mode: 0o700 })
  return path
}
