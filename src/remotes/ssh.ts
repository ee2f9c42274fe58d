/**
 * A running host over SSH: the system's OpenSSH client with the user's own configuration, agent and
 * jump hosts. It asks no questions: what would be asked is a Failure that says what to do.
 */
import { randomBytes } from 'node:crypto'
import { posix } from 'node:path'
import type { Context } from '../base/context.ts'
import { Failure } from '../base/failure.ts'
import { KiB, MiB } from '../base/units.ts'
import * as byCommand from './_by-command.ts'
import { openSshConnection, type SshConnection, type SshOptions } from './_ssh-connection.ts'
import { SshSessions } from './_ssh-sessions.ts'
import { toKeeperWork } from './_ssh-shell.ts'
import type { Command, CommandResult, FileAttributes, RemoteDriver } from './remote.ts'

export type { SshOptions } from './_ssh-connection.ts'
export { parseDestination } from './_ssh-destination.ts'

/** Larger content, and such with NUL bytes, goes through a session of its own. */
const MAX_KEEPER_INPUT = 16 * KiB

/**
 * Logs in, and becomes root by sudo if need be.
 * Fails with USAGE, TOOL_MISSING, REMOTE_UNREACHABLE, REMOTE_UNTRUSTED (host key), REMOTE_DENIED
 * (no key accepted, no sudo), NEEDS_ROOT, INTERRUPTED.
 */
export async function openSsh(options: SshOptions, context: Context): Promise<RemoteDriver> {
  const connection = await openSshConnection(options, context)
  context.log.info('ssh.opened', { host: connection.destination.text })
  return new SshRemote(connection, context.signal)
}

class SshRemote implements RemoteDriver {
  readonly name: string
  readonly place = 'host'
  readonly via = 'ssh'
  readonly #connection: SshConnection
  readonly #sessions: SshSessions
  readonly #signal: AbortSignal

  constructor(connection: SshConnection, signal: AbortSignal) {
    this.name = connection.destination.text
    this.#connection = connection
    this.#sessions = new SshSessions(connection, signal)
    this.#signal = signal
  }

  async run(command: Command): Promise<CommandResult> {
    const { code, stdout, stderr } = await this.#sessions.run(command)
    return { code, stdout: stdout.toString(), stderr: stderr.toString() }
  }

  async readFile(path: string, limit: number): Promise<Uint8Array | undefined> {
    const script = '[ -f "$1" ] || exit 44; exec head -c "$2" -- "$1"'
    const argv = ['sh', '-c', script, 'sh', path, String(limit + 1)]
    const { code, output } = await this.#ask(argv, 2 * (limit + 1))
    if (code === 44) return undefined
    if (code !== 0) throw new Failure('REMOTE_CANNOT', `cannot read ${path}: ${lastLine(output)}`)
    return output
  }

  /**
   * The size is compared before the file gets its name: a lost connection ends the input early.
   * Then, as when it is told to end, the script takes away what it wrote.
   */
  async writeFile(
    path: string,
    content: Uint8Array,
    { mode, uid, gid }: Required<FileAttributes>,
  ): Promise<void> {
    const script = `trap 'rm -f -- "$2"; exit 1' HUP INT PIPE TERM
      (umask 077; set -C; cat > "$2") && [ "$(wc -c < "$2")" -eq "$3" ] &&
        chown "$4" "$2" && chmod "$5" "$2" && mv -f -T -- "$2" "$1" || { rm -f -- "$2"; exit 1; }`
    const beside = posix.join(posix.dirname(path), `.ingot.${randomBytes(8).toString('hex')}`)
    const rest = [String(content.length), `${uid}:${gid}`, mode.toString(8)]
    const argv = ['sh', '-c', script, 'sh', path, beside, ...rest]
    const small = content.length <= MAX_KEEPER_INPUT && !content.includes(0)
    const { code, output } = small
      ? await this.#ask(argv, 64 * KiB, content)
      : await this.#sessions
          .run({ argv, input: content })
          .then(({ code, stderr }) => ({ code, output: stderr }))
    if (code !== 0) throw new Failure('COMMAND_FAILED', `cannot write ${path}: ${lastLine(output)}`)
  }

  readonly stat = (path: string) => byCommand.statByCommand(this.#runSmall, path)
  readonly list = (path: string) => byCommand.listByCommand(this.#runSmall, path)
  readonly makeDirectory = (path: string) => byCommand.makeDirectoryByCommand(this.#runSmall, path)
  readonly makeLink = (path: string, target: string) =>
    byCommand.makeLinkByCommand(this.#runSmall, path, target)
  readonly setAttributes = (path: string, attributes: FileAttributes) =>
    byCommand.setAttributesByCommand(this.#runSmall, path, attributes)
  /** A tree may be large: in a session, which can be interrupted. */
  readonly remove = (path: string) =>
    byCommand.removeByCommand((command) => this.run(command), path)

  async [Symbol.asyncDispose](): Promise<void> {
    this.#sessions.killAll()
    await this.#connection.close()
  }

  /** A command of our own that is soon done and leaves nothing running: one round trip. */
  readonly #runSmall = async ({ argv }: Command): Promise<CommandResult> => {
    const { code, output } = await this.#ask(argv, 8 * MiB)
    const text = output.toString()
    return { code, stdout: text, stderr: code === 0 ? '' : text }
  }

  async #ask(argv: readonly string[], maxOutput: number, input?: Uint8Array) {
    const interrupted = Promise.withResolvers<never>()
    const onAbort = () =>
      interrupted.reject(new Failure('INTERRUPTED', `${this.name}: ${argv[0]} was interrupted`))
    this.#signal.addEventListener('abort', onAbort, { once: true })
    try {
      return await Promise.race([
        this.#connection.ask(toKeeperWork(argv, input), maxOutput),
        interrupted.promise,
      ])
    } finally {
      this.#signal.removeEventListener('abort', onAbort)
    }
  }
}

function lastLine(output: Buffer): string {
  return output.toString().trim().split('\n').at(-1) || 'no reason given'
}
