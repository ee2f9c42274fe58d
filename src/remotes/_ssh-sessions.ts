import { Failure } from '../base/failure.ts'
import type { SshConnection } from './_ssh-connection.ts'
import { SessionRefused, type SessionResult, SshSession } from './_ssh-session.ts'
import type { Command } from './remote.ts'

/** Servers allow ten sessions for each connection unless told otherwise; one is the keeper's. */
const MAX_SESSIONS = 4

/** The sessions of one connection: a few at once, the others wait. */
export class SshSessions {
  readonly #connection: SshConnection
  readonly #signal: AbortSignal
  readonly #open = new Set<SshSession>()
  readonly #waiting: (() => void)[] = []
  #limit = MAX_SESSIONS

  constructor(connection: SshConnection, signal: AbortSignal) {
    this.#connection = connection
    this.#signal = signal
  }

  /**
   * Runs a command in a session of its own.
   * Fails with COMMAND_TIMEOUT, INTERRUPTED, REMOTE_LOST, REMOTE_DENIED.
   */
  async run(command: Command): Promise<SessionResult> {
    for (;;) {
      while (this.#open.size >= this.#limit)
        await new Promise<void>((resolve) => this.#waiting.push(resolve))
      if (this.#connection.lost) throw this.#connection.lost
      const alone = this.#limit === 1
      const session = new SshSession(this.#connection, command)
      this.#open.add(session)
      void this.#forget(session)
      try {
        return await session.result(this.#signal)
      } catch (error) {
        if (!(error instanceof SessionRefused)) throw error
        if (alone) throw this.#refused(error)
        this.#limit = 1 // a server that allows fewer (MaxSessions): one by one, then
      }
    }
  }

  killAll(): void {
    for (const session of this.#open) session.kill()
  }

  async #forget(session: SshSession): Promise<void> {
    await session.closed.catch(() => {})
    this.#open.delete(session)
    this.#waiting.shift()?.()
  }

  #refused(error: SessionRefused): Failure {
    const { text } = this.#connection.destination
    return new Failure('REMOTE_DENIED', `${text}: it opens no session: ${error.message}`, {
      cause: error,
      fix: "Its sshd_config needs 'MaxSessions 2' or more.",
    })
  }
}
