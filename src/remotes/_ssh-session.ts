/** Commands, each in a session of its own: whatever it leaves running, nothing else hears of it. */
import type { ChildProcess } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { BoundedOutput } from '../base/bounded-output.ts'
import { Failure } from '../base/failure.ts'
import { exitOf, killGroup, startProcess } from '../base/process.ts'
import { KiB, MiB } from '../base/units.ts'
import { MarkedStream } from './_marked-stream.ts'
import type { SshConnection } from './_ssh-connection.ts'
import { toCommandLine } from './_ssh-shell.ts'
import type { Command } from './remote.ts'

/** What a command gave, as bytes. */
export interface SessionResult {
  code: number
  stdout: Buffer
  stderr: Buffer
}

/** ssh's own exit code for a session that failed. */
const SSH_FAILED = 255
/** Of each stream, in bytes; as for processes of this host. */
const MAX_OUTPUT = 8 * MiB
const MAX_NOISE = 64 * KiB
/** How long a command that was asked to end may take before it is made to. */
const GRACE_MS = 2000
/** How long a session may linger after its command ended, because a daemon holds it open. */
const LINGER_MS = 500

/** The host did not open another session: those that are open must do. */
export class SessionRefused extends Error {}

export class SshSession {
  /** Resolves when the session is over, later than its command where a daemon holds it open. */
  readonly closed: Promise<number>
  readonly #connection: SshConnection
  readonly #command: Command
  readonly #name: string
  readonly #client: ChildProcess
  readonly #stdout: Output
  readonly #stderr: Output
  #killed = false
  /** Resolves when the command runs, so that it can be ended, and when it never will. */
  readonly #begun = Promise.withResolvers<void>()
  readonly #done = Promise.withResolvers<void>()

  constructor(connection: SshConnection, command: Command) {
    const nonce = randomBytes(16).toString('hex')
    this.#connection = connection
    this.#command = command
    this.#stdout = new Output(nonce, MAX_OUTPUT, command.onOutput)
    this.#stderr = new Output(nonce, MAX_OUTPUT, command.onOutput)
    const { name, argv } = connection.nextSession()
    this.#name = name
    this.#client = startProcess(argv, { stdio: ['pipe', 'pipe', 'pipe'] })
    this.#client.stdout?.on('data', (chunk: Buffer) => this.#hear(this.#stdout, chunk))
    this.#client.stderr?.on('data', (chunk: Buffer) => this.#hear(this.#stderr, chunk))
    this.closed = exitOf(this.#client, 'ssh')
    this.closed.then(() => this.#done.resolve(), this.#done.reject)
    this.#done.promise.then(this.#begun.resolve, this.#begun.resolve)
    this.#client.stdin?.on('error', () => {}) // a command that does not read its input is no error
    this.#client.stdin?.write(`${toCommandLine(command, nonce)}\n`)
    this.#client.stdin?.end(command.input)
  }

  /** Waits for the command. Fails with COMMAND_TIMEOUT, INTERRUPTED, REMOTE_LOST, SessionRefused. */
  async result(signal: AbortSignal): Promise<SessionResult> {
    const { argv, timeoutMs } = this.#command
    let ended: Failure | undefined
    const end = (failure: Failure) => {
      ended ??= failure
      void this.#endCommand()
    }
    const onAbort = () => end(new Failure('INTERRUPTED', `${argv[0]} was interrupted`))
    const onTimeout = () =>
      end(
        new Failure('COMMAND_TIMEOUT', `${argv[0]} did not end within ${timeoutMs! / 1000} s`, {
          details: { argv: argv.slice(0, 1), output: this.#lastLines() },
        }),
      )
    const timer = timeoutMs === undefined ? undefined : setTimeout(onTimeout, timeoutMs)
    signal.addEventListener('abort', onAbort, { once: true })
    try {
      if (signal.aborted) onAbort()
      await this.#done.promise
      if (ended) throw ended
      return await this.#outcome()
    } finally {
      clearTimeout(timer)
      signal.removeEventListener('abort', onAbort)
      this.#letGo()
    }
  }

  /**
   * Ends our side of the session at once. What still comes, since the connection's own ssh holds our
   * pipes too, is no result any more.
   */
  kill(): void {
    this.#killed = true
    killGroup(this.#client, 'SIGKILL')
  }

  #hear(output: Output, chunk: Buffer): void {
    output.add(chunk)
    if (output.begun !== undefined) this.#begun.resolve()
    if (this.#stdout.ended !== undefined && this.#stderr.ended !== undefined) this.#done.resolve()
  }

  /** Asks the command and all it started to end, then makes it; then gives up the session. */
  async #endCommand(): Promise<void> {
    try {
      await withinGrace(this.#begun.promise)
      await this.#connection.ask(`TERM ${this.#name}`)
      await withinGrace(this.closed)
      await this.#connection.ask(`KILL ${this.#name}`)
    } catch {
      // the connection is lost, and the keeper, alone, ends what runs there
    } finally {
      this.kill()
      this.#done.resolve()
    }
  }

  async #outcome(): Promise<SessionResult> {
    const result = { stdout: this.#stdout.toBuffer(), stderr: this.#stderr.toBuffer() }
    const { begun, ended, noise } = this.#stderr
    if (this.#killed && this.#connection.lost) throw this.#connection.lost
    if (ended !== undefined) return { ...result, code: Number(ended) }
    const code = await this.closed
    if (this.#connection.lost) throw this.#connection.lost
    const said = noise.trim().split(/\r?\n/).at(-1) || `ssh ended with ${code}`
    if (begun === undefined) throw new SessionRefused(said)
    // The shell that waited was killed, or the whole connection went: then the keeper is gone too.
    await this.#connection.ask('nothing')
    return { ...result, code: code === SSH_FAILED ? 137 : code }
  }

  /** Lets the session close by itself, but not wait for a daemon. */
  #letGo(): void {
    const timer = setTimeout(() => this.kill(), LINGER_MS)
    timer.unref()
    this.closed.then(
      () => clearTimeout(timer),
      () => clearTimeout(timer),
    )
  }

  #lastLines(): string {
    const text = [this.#stderr, this.#stdout].map((output) => output.toBuffer().toString().trim())
    return (text[0] || text[1] || '').split('\n').slice(-20).join('\n')
  }
}

async function withinGrace(event: Promise<unknown>): Promise<void> {
  let timer: NodeJS.Timeout | undefined
  const passed = new Promise<void>((resolve) => (timer = setTimeout(resolve, GRACE_MS)))
  await Promise.race([event, passed])
  clearTimeout(timer)
}

/** One stream of a command: what stands between its first and its second mark. */
class Output {
  /** Words of the mark at the beginning; undefined until it came. */
  begun: string | undefined
  /** Words of the mark at the end. */
  ended: string | undefined
  /** What came before the command: banners, login scripts, sudo's complaints. */
  noise = ''
  readonly #stream: MarkedStream
  readonly #kept: BoundedOutput
  readonly #onOutput: Command['onOutput']
  readonly #decoder = new TextDecoder()

  constructor(nonce: string, maxOutput: number, onOutput: Command['onOutput']) {
    this.#stream = new MarkedStream(nonce)
    this.#kept = new BoundedOutput(maxOutput)
    this.#onOutput = onOutput
  }

  add(chunk: Buffer): void {
    for (const part of this.#stream.push(chunk))
      if (this.ended !== undefined) return
      else if (typeof part === 'string' && this.begun === undefined) this.begun = part
      else if (typeof part === 'string') this.ended = part
      else if (this.begun === undefined)
        this.noise = (this.noise + part.toString()).slice(-MAX_NOISE)
      else {
        this.#kept.add(part)
        this.#onOutput?.(this.#decoder.decode(part, { stream: true }))
      }
  }

  toBuffer(): Buffer {
    if (this.begun !== undefined && this.ended === undefined) this.#kept.add(this.#stream.end())
    return this.#kept.toBuffer()
  }
}
