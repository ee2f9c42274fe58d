import type { FastifyInstance, FastifyRequest } from 'fastify'
import { Readable } from 'node:stream'
import { toWireBuild, type WireLogEntry } from '../../api/factory-wire.ts'
import type { Service } from '../../app/service.ts'
import { Failure, isFailure } from '../../base/failure.ts'
import type { StreamEvent } from '../../bytes/event-stream.ts'
import type { LogEntry } from '../../factory/build-log.ts'
import { DOCUMENT_KINDS, type DocumentKind } from '../../factory/factory-image.ts'
import type { Factory, FactoryEvent } from '../../factory/factory.ts'
import { chooseMediaType } from '../_accept.ts'
import { sendJson } from '../_answer.ts'
import { DownloadMemory } from '../_download-memory.ts'
import type { EventStreams } from '../_event-streams.ts'
import { openFactoryDoor } from '../_factory-door.ts'
import { sendArtifact } from '../_send-artifact.ts'

const BUILD = '/ingot/v1/builds/:build_id'
const LOG_PAGE = 1000
/** No log has more entries; databases would refuse larger numbers. */
const LAST_ENTRY = 2 ** 31 - 1
const MEDIA_TYPES: Readonly<Record<DocumentKind, string>> = {
  icicle: 'application/xml',
  sbom: 'application/spdx+json',
  manifest: 'application/json',
  report: 'application/json',
  timeline: 'application/json',
  screenshot: 'image/png',
}

/** What is kept of a build: its log, its events as they happen, documents, and its body. */
export function buildContentRoutes(
  app: FastifyInstance,
  service: Service,
  streams: EventStreams,
): void {
  const { factory } = service
  const door = openFactoryDoor(service)
  const memory = new DownloadMemory()

  app.get(
    `${BUILD}/log`,
    { schema: { summary: 'the log of a build: entries, or text' } },
    door.build('factory_get', async ({ image, request, reply }) => {
      const { after, limit } = parseWindow(request)
      const wanted = chooseMediaType(request.headers.accept, ['application/json', 'text/plain'])
      if (wanted === 'text/plain') {
        const text = Readable.from(textOf((from) => factory.readLog(image.id, from), after))
        return await reply.header('content-type', 'text/plain; charset=utf-8').send(text)
      }
      const found = await factory.readLog(image.id, after, limit)
      const next = found.length === limit ? found.at(-1)?.sequence : undefined
      const entries = found.map(toWireEntry)
      return sendJson(reply, 200, { entries, ...(next !== undefined && { next }) })
    }),
  )

  app.get(
    `${BUILD}/events`,
    { schema: { summary: 'what happens to a build, as server-sent events, until it has ended' } },
    door.build('factory_get', async ({ image, request, reply }) => {
      const { after } = parseWindow(request)
      await streams.send({ request, reply }, (signal) => eventsOf(factory, image.id, after, signal))
    }),
  )

  app.get(
    `${BUILD}/documents/:kind`,
    { schema: { summary: `a document of a build: ${DOCUMENT_KINDS.join(', ')}` } },
    door.build('factory_get', async ({ image, request, reply }) => {
      const { kind: name = '' } = request.params as { kind?: string }
      const kind = DOCUMENT_KINDS.find((one) => one === name)
      const bytes = kind && (await factory.readDocument(image.id, kind))
      if (kind === undefined || bytes === undefined)
        throw new Failure('OBJECT_NOT_FOUND', `factory image ${image.id} has no ${name}`, {
          fix: `Documents are ${DOCUMENT_KINDS.join(', ')}.`,
        })
      return await reply.header('content-type', MEDIA_TYPES[kind]).send(Buffer.from(bytes))
    }),
  )

  app.route({
    method: ['GET', 'HEAD'],
    url: `${BUILD}/artifact`,
    schema: { summary: 'the body of a factory image, as its target wants it' },
    handler: door.build('factory_download', (visit) => sendArtifact(visit, memory)),
  })
}

/** What is wanted of a log. `Last-Event-ID` is what a client says that comes back. Fails with REQUEST_INVALID. */
export function parseWindow({ raw, headers }: FastifyRequest): { after: number; limit: number } {
  const [, text = ''] = (raw.url ?? '').split(/\?(.*)/s)
  const query = new URLSearchParams(text)
  const after = headers['last-event-id'] ?? query.get('after') ?? '0'
  const limit = query.get('limit') ?? String(LOG_PAGE)
  if (!/^\d{1,15}$/.test(String(after)) || !/^[1-9]\d{0,8}$/.test(limit))
    throw new Failure('REQUEST_INVALID', 'after and limit are whole numbers')
  return { after: Math.min(Number(after), LAST_ENTRY), limit: Math.min(Number(limit), LOG_PAGE) }
}

/** All of a log, as people read it: events with their times; console and output as they came. */
export async function* textOf(
  read: (after: number) => Promise<LogEntry[]>,
  after: number,
): AsyncGenerator<string> {
  for (let from = after; ;) {
    const entries = await read(from)
    const last = entries.at(-1)
    if (last === undefined) return
    from = last.sequence
    yield entries
      .map(({ kind, at, text }) => (kind === 'event' ? `${at.toISOString()}  ${text}\n` : text))
      .join('')
  }
}

/** Ends with the event `end`, which has the build as it is then; a client need not come back after that. */
async function* eventsOf(
  factory: Factory,
  id: string,
  after: number,
  signal: AbortSignal,
): AsyncGenerator<StreamEvent> {
  for await (const event of factory.follow(id, signal, after)) yield toStreamEvent(event)
  if (signal.aborted) return
  try {
    yield { event: 'end', data: JSON.stringify(toWireBuild(await factory.get(id))) }
  } catch (error) {
    if (!isFailure(error, 'BUILD_NOT_FOUND')) throw error
    yield { event: 'end', data: 'null' } // it was deleted meanwhile
  }
}

function toStreamEvent(event: FactoryEvent): StreamEvent {
  if (event.kind === 'log') return toLogEvent(event.entry)
  return { event: 'build', data: JSON.stringify(toWireBuild(event.image)) }
}

export function toLogEvent(entry: LogEntry): StreamEvent {
  return { event: 'log', id: String(entry.sequence), data: JSON.stringify(toWireEntry(entry)) }
}

function toWireEntry({ sequence, at, kind, text }: LogEntry): WireLogEntry {
  return { sequence, at: at.toISOString(), kind, text }
}
