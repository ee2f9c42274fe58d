import { Failure } from '../base/failure.ts'
import { MiB } from '../base/units.ts'

/** What QEMU says, one JSON object a line. */
export type QmpMessage =
  | { kind: 'greeting'; version: string }
  | { kind: 'reply'; id: number; value: unknown }
  | { kind: 'refusal'; id: number | undefined; why: string }
  | { kind: 'event'; name: string; data: Readonly<Record<string, unknown>> }

const MAX_LINE = 4 * MiB

/**
 * Cuts the stream into messages, whatever the chunks. Lines that are JSON but no message that we
 * know are left out. A line longer than 4 MiB, or one that is not a JSON object: MACHINE_FAILED.
 * Source: QEMU's docs/interop/qmp-spec.
 */
export class QmpLines {
  #pending: Buffer[] = []
  #size = 0

  push(chunk: Uint8Array): QmpMessage[] {
    const messages: QmpMessage[] = []
    let rest = Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength)
    for (let end = rest.indexOf(10); end >= 0; end = rest.indexOf(10)) {
      this.#keep(rest.subarray(0, end))
      const line = Buffer.concat(this.#pending).toString()
      this.#pending = []
      this.#size = 0
      rest = rest.subarray(end + 1)
      const message = parseLine(line)
      if (message) messages.push(message)
    }
    this.#keep(rest)
    return messages
  }

  #keep(piece: Buffer): void {
    this.#size += piece.length
    if (this.#size > MAX_LINE)
      throw new Failure('MACHINE_FAILED', `QEMU sent a message of more than ${MAX_LINE} bytes`)
    if (piece.length > 0) this.#pending.push(Buffer.from(piece))
  }
}

function parseLine(line: string): QmpMessage | undefined {
  if (line.trim() === '') return undefined
  let message: unknown
  try {
    message = JSON.parse(line)
  } catch (error) {
    throw new Failure('MACHINE_FAILED', 'QEMU sent a line that is not JSON', { cause: error })
  }
  if (!isObject(message)) throw new Failure('MACHINE_FAILED', 'QEMU sent JSON that is no message')
  const id = typeof message['id'] === 'number' ? message['id'] : undefined
  if (isObject(message['QMP'])) return { kind: 'greeting', version: versionOf(message['QMP']) }
  if (typeof message['event'] === 'string')
    return {
      kind: 'event',
      name: message['event'],
      data: isObject(message['data']) ? message['data'] : {},
    }
  if (isObject(message['error'])) {
    const why = message['error']['desc']
    return { kind: 'refusal', id, why: typeof why === 'string' ? why : 'QEMU gave no reason' }
  }
  if ('return' in message && id !== undefined)
    return { kind: 'reply', id, value: message['return'] }
  return undefined
}

function versionOf(greeting: Record<string, unknown>): string {
  const version = isObject(greeting['version']) ? greeting['version']['qemu'] : undefined
  if (!isObject(version)) return 'unknown'
  return ['major', 'minor', 'micro'].map((part) => String(Number(version[part]))).join('.')
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
