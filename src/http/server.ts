import { createServer as createHttpServer } from 'node:http'
import type { Socket } from 'node:net'
import fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify'
import type { Service } from '../app/service.ts'
import { Failure, messageOf } from '../base/failure.ts'
import { KiB } from '../base/units.ts'
import { drain, hasBody, isStillSending, STALL_MS } from './_body.ts'
import { EventStreams } from './_event-streams.ts'
import { Metrics } from './metrics.ts'
import { UnderWay } from './_under-way.ts'
import { answerUnknown } from './_unknown-path.ts'
import { toRefusal } from './_refusal.ts'
import { withoutVersion } from './_version-path.ts'
import { buildContentRoutes } from './routes/build-contents.ts'
import { buildRoutes } from './routes/builds.ts'
import { cacheRoutes } from './routes/cache.ts'
import { factoryPartRoutes } from './routes/factory-parts.ts'
import { healthRoutes } from './routes/health.ts'
import { imageDataRoutes } from './routes/image-data.ts'
import { imageListRoutes } from './routes/image-list.ts'
import { imagePatchRoutes } from './routes/image-patch.ts'
import { imageFactoryRoutes } from './routes/imagefactory.ts'
import { imageRoutes } from './routes/images.ts'
import { importRoutes } from './routes/import.ts'
import { infoRoutes } from './routes/info.ts'
import { locationRoutes } from './routes/locations.ts'
import { storeRoutes } from './routes/stores.ts'
import { taskRoutes } from './routes/tasks.ts'
import { memberRoutes } from './routes/members.ts'
import { metadefContentRoutes } from './routes/metadef-contents.ts'
import { metadefRoutes } from './routes/metadefs.ts'
import { metricRoutes } from './routes/metrics.ts'
import { openapiRoute } from './routes/openapi.ts'
import { recipeRunRoutes } from './routes/recipe-runs.ts'
import { schemaRoutes } from './routes/schemas.ts'
import { tagRoutes } from './routes/tags.ts'
import { usageRoutes } from './routes/usage.ts'
import { versionRoutes } from './routes/versions.ts'

/** Adds the routes of one resource. */
export type Routes = (app: FastifyInstance, service: Service, streams: EventStreams) => void

/** Every resource, one line each. */
const ROUTES: readonly Routes[] = [
  healthRoutes,
  versionRoutes,
  schemaRoutes,
  imageRoutes,
  imageListRoutes,
  imageDataRoutes,
  imagePatchRoutes,
  tagRoutes,
  memberRoutes,
  metadefRoutes,
  metadefContentRoutes,
  importRoutes,
  infoRoutes,
  locationRoutes,
  storeRoutes,
  taskRoutes,
  usageRoutes,
  cacheRoutes,
  imageFactoryRoutes,
  buildRoutes,
  buildContentRoutes,
  factoryPartRoutes,
  recipeRunRoutes,
]

const MAX_HEADERS = 64 * KiB
const MAX_CONNECTIONS = 10_000
const HEADERS_MS = 30_000
const KEEP_ALIVE_MS = 75_000
/** Of one part of a path, encoded: 255 characters of any alphabet. */
const MAX_SEGMENT = 4 * KiB

/**
 * The image service over HTTP. `listen` starts it; `close` lets what is under way end, and takes nothing new.
 * The service is the caller's, to close after it.
 */
export function createServer(service: Service): FastifyInstance {
  const app = fastify({
    serverFactory: (handler) => {
      const server = createHttpServer(
        {
          maxHeaderSize: MAX_HEADERS,
          headersTimeout: HEADERS_MS,
          requestTimeout: 0, // uploads take as long as they take; who stalls is cut off
          keepAliveTimeout: KEEP_ALIVE_MS,
        },
        handler,
      )
      server.on('checkContinue', handler) // who reads the body says to go on
      server.setTimeout(STALL_MS)
      server.maxConnections = MAX_CONNECTIONS
      return server
    },
    genReqId: () => `req-${service.context.newId()}`,
    rewriteUrl: withoutVersion,
    routerOptions: { maxParamLength: MAX_SEGMENT },
    return503OnClosing: false,
    forceCloseConnections: 'idle',
    clientErrorHandler: refuseNonsense,
    frameworkErrors: (error, request, reply) => refuse(service, error, request, reply),
  })
  // Checked by the routes, told in words of the API; schemas are for the documentation.
  app.setValidatorCompiler(() => () => true)
  app.setSerializerCompiler(() => JSON.stringify)
  app.removeAllContentTypeParsers()
  app.addContentTypeParser('*', (_request, _body, done) => done(null, undefined))

  app.addHook('onRequest', (request, reply, done) => {
    reply.header('x-openstack-request-id', request.id)
    const packing = refusesPacking(request)
    if (packing) reply.header('connection', 'close') // nobody knows where it ends
    done(packing ?? refusesBody(request))
  })
  app.addHook('onResponse', (request, reply, done) => {
    log(service, request, reply)
    done()
  })
  app.setErrorHandler((error, request, reply) => refuse(service, error, request, reply))
  const metrics = new Metrics(app, service, new UnderWay(app))
  answerUnknown(app, service)
  openapiRoute(app)
  metricRoutes(app, metrics)
  const streams = new EventStreams(app, service.context.log)
  for (const add of ROUTES) add(app, service, streams)
  return app
}

/** A request id of another service, as it gives it on. */
const GLOBAL_ID = /^req-[0-9a-fA-F-]{36}$/

/** Reading is the daily round, and told only to those who want to know everything. */
function log({ context }: Service, request: FastifyRequest, reply: FastifyReply): void {
  const { method, url, id, headers } = request
  const isRead = method === 'GET' || method === 'HEAD'
  const given = headers['x-openstack-request-id']
  const isGlobal = typeof given === 'string' && GLOBAL_ID.test(given)
  const fields = { requestId: id, ...(isGlobal && { globalId: given }), method, url }
  const outcome = { status: reply.raw.statusCode, ms: Math.round(reply.elapsedTime) }
  context.log[isRead ? 'debug' : 'info']('http.answered', { ...fields, ...outcome })
}

/** A GET with a body is a mistake, and says so; but for downloads, whose clients may send one. */
function refusesBody({ raw, method, url }: FastifyRequest): Failure | undefined {
  const reads = method === 'GET' || method === 'HEAD'
  if (!reads || !hasBody(raw) || !url.startsWith('/v2/') || /\/file(\?|$)/.test(url))
    return undefined
  return new Failure('REQUEST_INVALID', `a ${method} takes no body`)
}

/**
 * Bodies are taken as they are. One that is packed for its way would be stored, or read, packed: nobody means that.
 * Source: RFC 9110, 8.4, and RFC 9112, 6.1.
 */
function refusesPacking({ headers }: FastifyRequest): Failure | undefined {
  const transfer = headers['transfer-encoding']?.trim().toLowerCase()
  const content = headers['content-encoding']?.trim().toLowerCase()
  if (transfer !== undefined && transfer !== 'chunked')
    return new Failure('REQUEST_INVALID', `no transfer coding but chunked: found ${transfer}`)
  if (content === undefined || content === '' || content === 'identity') return undefined
  return new Failure('MEDIA_TYPE_UNSUPPORTED', `no content coding: found ${content}`)
}

/** The interfaces of the factory, whose clients read nothing else. */
const JSON_ONLY = /^\/(imagefactory|ingot)(?:[/?]|$)/

/** Answers what was thrown. While the client still sends, it gets the answer first, and is heard out then. */
function refuse(
  service: Service,
  error: unknown,
  request: FastifyRequest,
  reply: FastifyReply,
): void {
  const { status, headers, body } = toRefusal(error, {
    accept: request.headers.accept,
    challenge: service.authenticator.challenge,
    alwaysJson: JSON_ONLY.test(request.url),
  })
  if (status >= 500) {
    const { method, url, id } = request
    const stack = error instanceof Error && !(error instanceof Failure) ? error.stack : undefined
    service.context.log.error('http.failed', {
      requestId: id,
      method,
      url,
      status,
      error: messageOf(error),
      stack,
    })
  }
  if (!isStillSending(request)) return void reply.code(status).headers(headers).send(body)
  reply.hijack()
  const { raw } = reply
  raw.writeHead(status, { ...headers, 'x-openstack-request-id': request.id, connection: 'close' })
  raw.write(body)
  void drain(request).then(() => raw.end())
}

const NONSENSE: Readonly<Record<string, string>> = {
  HPE_HEADER_OVERFLOW: '431 Request Header Fields Too Large',
  ERR_HTTP_REQUEST_TIMEOUT: '408 Request Timeout',
}
/** Who was told that it makes no sense may go on with it for so long. */
const NONSENSE_MS = 2000

/** Answers what is no HTTP. What more comes is thrown away, so that the answer gets there. */
function refuseNonsense(error: Error & { code?: string }, socket: Socket): void {
  if (error.code === 'ECONNRESET' || socket.destroyed) return void socket.destroy()
  if (socket.writableEnded) return
  const line = NONSENSE[error.code ?? ''] ?? '400 Bad Request'
  const body = `${line}\n`
  const head = `HTTP/1.1 ${line}\r\nContent-Type: text/plain\r\nContent-Length: ${body.length}`
  socket.end(`${head}\r\nConnection: close\r\n\r\n${body}`)
  setTimeout(() => socket.destroy(), NONSENSE_MS).unref()
}
