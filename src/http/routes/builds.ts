import type { FastifyInstance, FastifyRequest } from 'fastify'
import { toListedBuild, toWireBuild, type WireBuilds } from '../../api/factory-wire.ts'
import type { Service } from '../../app/service.ts'
import { Failure } from '../../base/failure.ts'
import type { FactoryImage } from '../../factory/factory-image.ts'
import type { FactoryQuery } from '../../factory/factory.ts'
import { sendJson, sendNothing } from '../_answer.ts'
import { asObject, hasBody, readBody, readJson } from '../_body.ts'
import { orderSchema, placeOrder } from '../_build-order.ts'
import type { Visit } from '../_door.ts'
import {
  type BuildVisit,
  checkDaring,
  findBuild,
  openFactoryDoor,
  ownerSeenBy,
  requesterOf,
} from '../_factory-door.ts'
import { parseJson } from '../_body.ts'
import { queryOfNames } from '../_plain-query.ts'

const BUILDS = '/ingot/v1/builds'
const BUILD = `${BUILDS}/:build_id`
const TYPES = ['base', 'target', 'provider'] as const
const STATUSES = [
  'NEW',
  'PENDING',
  'BUILDING',
  'COMPLETE',
  'FAILED',
  'DELETING',
  'DELETED',
  'DELETEFAILED',
] as const

/** Builds: ordered, listed, shown, cancelled, begun again, deleted. What is kept of each: `build-contents.ts`. */
export function buildRoutes(app: FastifyInstance, service: Service): void {
  const { factory } = service
  const door = openFactoryDoor(service)

  app.post(
    BUILDS,
    { schema: { summary: 'have an image built, and what it is made of', body: orderSchema } },
    door.allowed('factory_create', async (visit) => {
      const image = await placeOrder(visit)
      return sendJson(visit.reply.header('location', pathOf(image)), 202, toWireBuild(image))
    }),
  )

  app.get(
    BUILDS,
    { schema: { summary: 'list builds: filtered, newest first, in pages' } },
    door.allowed('factory_get', async (visit) =>
      sendJson(visit.reply, 200, await listBuilds(visit, {}, BUILDS)),
    ),
  )

  app.post(
    `${BUILDS}/import`,
    { schema: { summary: 'make a base image of an image file' } },
    door.allowed('factory_create', async (visit) => {
      const { request, reply } = visit
      const { name, parameters } = parseImport(request)
      checkDaring(visit, { parameters })
      const content = readBody({ request, reply })
      const requester = requesterOf(visit)
      const image = await factory.importBase({ requester, content, name, parameters })
      return sendJson(reply.header('location', pathOf(image)), 201, toWireBuild(image))
    }),
  )

  app.get(
    BUILD,
    { schema: { summary: 'show a build' } },
    door.build('factory_get', async ({ image, reply }) => sendJson(reply, 200, toWireBuild(image))),
  )

  app.get(
    `${BUILD}/children`,
    { schema: { summary: 'list what was made of an image' } },
    door.build('factory_get', async (visit) => {
      const { id } = visit.image
      const path = `${BUILDS}/${id}/children`
      return sendJson(visit.reply, 200, await listBuilds(visit, { parentId: id }, path))
    }),
  )

  app.post(
    `${BUILD}/cancel`,
    { schema: { summary: 'stop a build, and what waits for it' } },
    door.build('factory_control', async ({ image, reply }) =>
      sendJson(reply, 202, toWireBuild(await factory.cancel(image.id))),
    ),
  )

  app.post(
    `${BUILD}/retry`,
    { schema: { summary: 'begin a build that failed again' } },
    door.build('factory_control', async (visit) => {
      const { credentials } = await readSecrets(visit)
      const image = await factory.retry(visit.image.id, { credentials })
      return sendJson(visit.reply, 202, toWireBuild(image))
    }),
  )

  app.delete(
    BUILD,
    {
      schema: {
        summary: 'delete a factory image, and what it is in clouds, which ?keep=true leaves there',
      },
    },
    door.build('factory_delete', async (visit) => {
      const keep = parseKeep(queryOfNames(visit.request, ['keep'])['keep'])
      await factory.delete(visit.image.id, { ...(await readSecrets(visit)), keep })
      return sendNothing(visit.reply)
    }),
  )
}

function pathOf({ id }: FactoryImage): string {
  return `${BUILDS}/${id}`
}

/** Of a body, if there is one. Fails with REQUEST_INVALID, FORBIDDEN. */
async function readSecrets(
  visit: BuildVisit,
): Promise<{ readonly definition?: unknown; readonly credentials?: unknown }> {
  if (!hasBody(visit.request.raw)) return {}
  const { definition, credentials } = asObject(await readJson(visit))
  checkDaring(visit, { definition, credentials, parameters: {} })
  return { definition, credentials }
}

/** Fails with REQUEST_INVALID. */
function parseKeep(text: string | undefined): boolean {
  if (text === undefined || text === 'true' || text === 'false') return text === 'true'
  throw new Failure('REQUEST_INVALID', `keep: wanted true or false, found '${text.slice(0, 20)}'`)
}

/** Fails with REQUEST_INVALID. */
function parseImport(request: FastifyRequest): {
  name: string | undefined
  parameters: Record<string, never>
} {
  const { name, parameters: text } = queryOfNames(request, ['name', 'parameters'])
  const parameters = text === undefined ? {} : asObject(parseJson(Buffer.from(text)))
  return { name, parameters: parameters as Record<string, never> }
}

const FILTERS = ['type', 'status', 'parent_id', 'target', 'name', 'limit', 'marker']

async function listBuilds(
  visit: Visit,
  more: Pick<FactoryQuery, 'parentId'>,
  path: string,
): Promise<WireBuilds> {
  const query = queryOfNames(visit.request, FILTERS)
  const { page_size: usual, max_page_size: most } = visit.service.config.image
  const limit = Math.min(parseLimit(query['limit']) ?? usual, most)
  const { marker } = query
  const after = marker === undefined ? undefined : await findBuild(visit, marker)
  const found = await visit.service.factory.list({
    owner: ownerSeenBy(visit),
    type: oneOf(query, 'type', TYPES),
    status: oneOf(query, 'status', STATUSES),
    parentId: query['parent_id'],
    target: query['target'],
    name: query['name'],
    ...more,
    limit,
    after,
  })
  const last = found.length === limit ? found.at(-1) : undefined
  const builds = found.map(toListedBuild)
  if (last === undefined) return { builds }
  const next = new URLSearchParams({ ...query, marker: last.id })
  return { builds, next: `${path}?${next.toString()}` }
}

type Query = Readonly<Record<string, string | undefined>>

function parseLimit(text: string | undefined): number | undefined {
  if (text === undefined || /^[1-9]\d{0,8}$/.test(text)) return text ? Number(text) : undefined
  throw new Failure('REQUEST_INVALID', `limit is a whole number from 1 on, found '${text}'`)
}

function oneOf<const Word extends string>(
  query: Query,
  name: string,
  words: readonly Word[],
): Word | undefined {
  const text = query[name]
  const found = words.find((word) => word === text)
  if (text === undefined || found !== undefined) return found
  throw new Failure('REQUEST_INVALID', `${name} is one of ${words.join(', ')}, found '${text}'`)
}
