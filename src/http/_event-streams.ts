import type { FastifyInstance } from 'fastify'
import { once } from 'node:events'
import type { ServerResponse } from 'node:http'
import { messageOf } from '../base/failure.ts'
import type { Log } from '../base/log.ts'
import { formatEvent, HEARTBEAT, type StreamEvent } from '../bytes/event-stream.ts'
import type { Exchange } from './_body.ts'
import { Leaving } from './_leaving.ts'

/** More often than proxies, and our own limit of silence, take somebody for gone. */
const HEARTBEAT_MS = 15_000

/**
 * Answers that are streams of server-sent events. They end with their events, when the client leaves, and when the server
 * is told to end. A slow client holds up the events that it is sent, not the memory; one that takes nothing is cut off by
 * the limit of silence.
 */
export class EventStreams {
  readonly #closing = new AbortController()
  readonly #log: Log

  constructor(app: FastifyInstance, log: Log) {
    this.#log = log
    app.addHook('preClose', (done) => {
      this.#closing.abort()
      done()
    })
  }

  /** Resolves when all is sent. What fails after the beginning ends the stream, and the client may come back. */
  async send(
    { request, reply }: Exchange,
    events: (signal: AbortSignal) => AsyncIterable<StreamEvent>,
  ): Promise<void> {
    using leaving = new Leaving(request.raw)
    const signal = AbortSignal.any([leaving.gone, this.#closing.signal])
    const { raw } = reply
    reply.hijack()
    for (const [name, value] of Object.entries(reply.getHeaders()))
      if (value !== undefined) raw.setHeader(name, value)
    raw.writeHead(200, {
      'content-type': 'text/event-stream',
      'cache-control': 'no-store',
      'x-accel-buffering': 'no',
    })
    raw.flushHeaders()
    const beat = setInterval(() => {
      if (!raw.writableNeedDrain) raw.write(HEARTBEAT)
    }, HEARTBEAT_MS)
    try {
      for await (const event of events(signal)) {
        if (signal.aborted) break
        if (!raw.write(formatEvent(event))) await drained(raw, signal)
      }
    } catch (error) {
      const fields = { requestId: request.id, url: request.url, error: messageOf(error) }
      if (!signal.aborted) this.#log.warn('events.failed', fields)
    } finally {
      clearInterval(beat)
      raw.end()
    }
  }
}

async function drained(raw: ServerResponse, signal: AbortSignal): Promise<void> {
  await once(raw, 'drain', { signal }).catch((error: unknown) => {
    if (!signal.aborted) throw error
  })
}
