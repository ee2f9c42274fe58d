/**
 * QMP, the way to talk to a running QEMU: commands with answers, and events that come unasked.
 * It travels over a stream that QEMU inherited from us, so there is no socket file to find, to
 * guard or to leave behind. Whoever opened the stream closes it.
 */
import type { Duplex } from 'node:stream'
import { Failure, messageOf } from '../base/failure.ts'
import { QmpLines, type QmpMessage } from './_qmp-lines.ts'

/** Something happened to the machine: `SHUTDOWN`, `RESET`, `STOP`, `GUEST_PANICKED`. */
export interface QmpEvent {
  readonly name: string
  readonly data: Readonly<Record<string, unknown>>
}

export interface Qmp {
  /** QEMU's version: `7.2.22`. */
  readonly version: string
  /**
   * QEMU's answer to a command. Fails with MACHINE_FAILED when QEMU refuses it, ends, or has not
   * answered after `timeoutMs` (default 30 s).
   */
  execute(
    command: string,
    input?: Readonly<Record<string, unknown>>,
    timeoutMs?: number,
  ): Promise<unknown>
}

interface Waiting {
  command: string
  resolve: (value: unknown) => void
  reject: (failure: Failure) => void
}

const GREETING_TIMEOUT_MS = 30_000

/**
 * Waits for QEMU's greeting on `stream` and agrees on capabilities.
 * Fails with MACHINE_FAILED when the stream ends before, or speaks something else.
 */
export async function openQmp(stream: Duplex, onEvent: (event: QmpEvent) => void): Promise<Qmp> {
  const lines = new QmpLines()
  const waiting = new Map<number, Waiting>()
  const greeting = Promise.withResolvers<string>()
  let lost: Failure | undefined
  let nextId = 1

  const lose = (why: string, cause?: unknown) => {
    lost ??= new Failure('MACHINE_FAILED', `the talk with QEMU ended: ${why}`, { cause })
    greeting.reject(lost)
    for (const { reject } of waiting.values()) reject(lost)
    waiting.clear()
  }
  const take = (message: QmpMessage) => {
    if (message.kind === 'greeting') return greeting.resolve(message.version)
    if (message.kind === 'event') return onEvent({ name: message.name, data: message.data })
    const asked = message.id === undefined ? undefined : waiting.get(message.id)
    if (message.id === undefined || asked === undefined) return
    waiting.delete(message.id)
    if (message.kind === 'reply') return asked.resolve(message.value)
    asked.reject(new Failure('MACHINE_FAILED', `QEMU refused ${asked.command}: ${message.why}`))
  }
  stream.on('data', (chunk: Buffer) => {
    try {
      for (const message of lines.push(chunk)) take(message)
    } catch (error) {
      lose(messageOf(error), error)
      stream.destroy()
    }
  })
  stream.on('error', (error) => lose(messageOf(error), error))
  for (const end of ['end', 'close']) stream.on(end, () => lose('QEMU closed it'))

  const execute: Qmp['execute'] = (command, input = {}, timeoutMs = 30_000) => {
    if (lost) return Promise.reject(lost)
    const id = nextId++
    const answer = Promise.withResolvers<unknown>()
    const timer = setTimeout(() => {
      waiting.delete(id)
      const seconds = timeoutMs / 1000
      answer.reject(
        new Failure('MACHINE_FAILED', `QEMU did not answer ${command} within ${seconds} s`),
      )
    }, timeoutMs)
    waiting.set(id, { command, ...answer })
    stream.write(`${JSON.stringify({ execute: command, arguments: input, id })}\n`)
    return answer.promise.finally(() => clearTimeout(timer))
  }

  const timer = setTimeout(() => lose('no greeting came'), GREETING_TIMEOUT_MS)
  const version = await greeting.promise.finally(() => clearTimeout(timer))
  await execute('qmp_capabilities')
  return { version, execute }
}
