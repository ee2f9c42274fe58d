/**
 * Server-sent events: what a server writes (`formatEvent`), and what a client reads of it (`readEvents`).
 * Source: WHATWG HTML, 9.2, as far as servers of ours use it.
 */
import { Failure } from '../base/failure.ts'
import { MiB } from '../base/units.ts'

export interface StreamEvent {
  readonly event: string
  /** Where a client that comes back goes on. */
  readonly id?: string | undefined
  readonly data: string
}

/** Says nothing; it shows that somebody is there. */
export const HEARTBEAT = ':\n\n'

/** Of one event, for readers: a server that sends more is none of ours. */
const MAX_EVENT = 4 * MiB

/** An event as it is sent. Line ends in `event` and `id` would break it, and are left out. */
export function formatEvent({ event, id, data }: StreamEvent): string {
  const lines = data.split(/\r\n|\r|\n/).map((line) => `data: ${line}\n`)
  const name = event.replaceAll(/[\r\n]/g, '')
  const tag = id === undefined ? '' : `id: ${id.replaceAll(/[\r\n\0]/g, '')}\n`
  return `event: ${name}\n${tag}${lines.join('')}\n`
}

/** The events of a stream, until it ends; one that is cut short is left out. Fails with LIMIT_EXCEEDED. */
export async function* readEvents(stream: AsyncIterable<Uint8Array>): AsyncGenerator<StreamEvent> {
  const decoder = new TextDecoder()
  let rest = ''
  let fields: Fields = { data: [] }
  for await (const chunk of stream) {
    const lines = (rest + decoder.decode(chunk, { stream: true })).split(/\r\n|\n|\r(?!$)/)
    rest = lines.pop() ?? ''
    for (const line of lines) {
      if (line !== '') addLine(fields, line)
      else {
        if (fields.data.length > 0) yield toEvent(fields)
        fields = { data: [] }
      }
    }
    if (rest.length + sizeOf(fields) > MAX_EVENT)
      throw new Failure('LIMIT_EXCEEDED', `an event of more than ${MAX_EVENT} characters`)
  }
}

interface Fields {
  event?: string
  id?: string
  data: string[]
}

/** Comments, and fields that nobody knows, are passed over. */
function addLine(fields: Fields, line: string): void {
  const [, name, value = ''] = /^([^:]*)(?:: ?([^]*))?$/.exec(line) ?? []
  if (name === 'data') fields.data.push(value)
  else if (name === 'event') fields.event = value
  else if (name === 'id') fields.id = value
}

function toEvent({ event = 'message', id, data }: Fields): StreamEvent {
  return { event, ...(id !== undefined && { id }), data: data.join('\n') }
}

function sizeOf({ data }: Fields): number {
  return data.reduce((sum, line) => sum + line.length, 0)
}
