import type { FastifyInstance } from 'fastify'
import { METADEF_SCHEMAS, namespaceSchema } from '../../api/metadef-schemas.ts'
import {
  fromWireNamespace,
  toWireNamespace,
  toWireNamespaceHead,
  toWireTime,
} from '../../api/metadef-wire.ts'
import type { Service } from '../../app/service.ts'
import { Failure } from '../../base/failure.ts'
import { prefixedProperties } from '../../metadefs/definitions.ts'
import type { Namespace, NamespaceQuery } from '../../metadefs/metadefs.ts'
import { sendJson, sendNothing } from '../_answer.ts'
import { openDoor } from '../_door.ts'
import { openNamespaceDoor, readShape } from '../_metadef-door.ts'

const PATH = '/v2/metadefs/namespaces'

/** `/v2/metadefs/namespaces`, the types of resources, and the schemas of all metadata definitions. */
export function metadefRoutes(app: FastifyInstance, service: Service): void {
  const { metadefs, context, policy, config } = service
  const door = openDoor(service)
  const at = openNamespaceDoor(service)

  app.get(
    PATH,
    { schema: { summary: 'list namespaces of metadata definitions' } },
    door.known(async ({ request, reply, caller }) => {
      const mine = { project_id: caller.projectId, visibility: 'private' }
      if (!policy.allows('get_metadef_namespaces', caller, mine))
        throw new Failure('FORBIDDEN', 'you are not allowed to list namespaces')
      const query = request.query as Record<string, string | undefined>
      const viewer = { project: caller.projectId, all: caller.isAdmin }
      const { page_size: size, max_page_size: most } = config.image
      const wanted = parseNamespaceQuery(query, viewer, { size, most })
      const namespaces = await metadefs.list(wanted)
      const link = (marker?: string) =>
        `${PATH}?${new URLSearchParams({ ...definedOnly({ ...query, marker }) }).toString()}`
      return sendJson(reply, 200, {
        namespaces: namespaces.map(toWireNamespaceHead),
        first: link().replace(/\?$/, ''),
        ...(namespaces.length === wanted.limit && { next: link(namespaces.at(-1)?.namespace) }),
        schema: '/v2/schemas/metadefs/namespaces',
      })
    }),
  )

  app.post(
    PATH,
    { schema: { summary: 'create a namespace, with all in it' } },
    door.allowed('add_metadef_namespace', async (visit) => {
      const body = await readShape(visit, namespaceSchema)
      const made = await metadefs.create(
        checkNames(fromWireNamespace(body, visit.caller.projectId, context.now())),
      )
      visit.reply.header('location', `${PATH}/${encodeURIComponent(made.namespace)}`)
      return sendJson(visit.reply, 201, toWireNamespace(made))
    }),
  )

  app.get(
    `${PATH}/:namespace`,
    { schema: { summary: 'show a namespace, with all in it' } },
    at('get_metadef_namespace', async ({ request, reply, namespace }) => {
      const { resource_type: type } = request.query as Record<string, string | undefined>
      const shown = type === undefined ? namespace : prefixedProperties(namespace, type)
      return sendJson(reply, 200, toWireNamespace(shown))
    }),
  )

  app.put(
    `${PATH}/:namespace`,
    { schema: { summary: 'change a namespace' } },
    at('modify_metadef_namespace', async (visit) => {
      const body = await readShape(visit, namespaceSchema)
      const changed = await metadefs.change(visit.namespace.namespace, (old) => {
        const given = fromWireNamespace(body, old.owner, old.createdAt)
        const { properties, objects, tags, resourceTypes } = old
        return { ...given, properties, objects, tags, resourceTypes }
      })
      return sendJson(visit.reply, 200, toWireNamespaceHead(changed))
    }),
  )

  app.delete(
    `${PATH}/:namespace`,
    { schema: { summary: 'delete a namespace, with all in it' } },
    at('delete_metadef_namespace', async ({ reply, namespace }) => {
      await metadefs.delete(namespace.namespace)
      return sendNothing(reply)
    }),
  )

  app.get(
    '/v2/metadefs/resource_types',
    { schema: { summary: 'list the types of resources' } },
    door.known(async ({ reply, caller }) => {
      const target = { project_id: caller.projectId, visibility: 'public' }
      if (!policy.allows('list_metadef_resource_types', caller, target))
        throw new Failure('FORBIDDEN', 'you are not allowed to list resource types')
      const types = await metadefs.resourceTypes()
      const shown = types.map(({ name, createdAt, updatedAt }) => ({
        name,
        created_at: toWireTime(createdAt),
        updated_at: toWireTime(updatedAt),
      }))
      return sendJson(reply, 200, { resource_types: shown })
    }),
  )

  for (const [name, schema] of Object.entries(METADEF_SCHEMAS)) {
    const text = JSON.stringify(schema)
    app.get(
      `/v2/schemas/metadefs/${name}`,
      { schema: { summary: 'schema of what stands below that name' } },
      door.known(async ({ reply }) => sendJson(reply, 200, text)),
    )
  }
}

/** Fails with DEFINITION_EXISTS when a new namespace names something twice. */
function checkNames(namespace: Namespace): Namespace {
  for (const list of ['objects', 'tags', 'resourceTypes'] as const) {
    const names = namespace[list].map(({ name }) => name)
    const twice = names.find((name, index) => names.indexOf(name) !== index)
    if (twice !== undefined)
      throw new Failure('DEFINITION_EXISTS', `the namespace names ${twice} twice`)
  }
  return namespace
}

function parseNamespaceQuery(
  query: Readonly<Record<string, string | undefined>>,
  viewer: NamespaceQuery['viewer'],
  { size, most }: { size: number; most: number },
): NamespaceQuery {
  const { limit, marker, visibility, resource_types: types } = query
  const { sort_key: key = 'created_at', sort_dir: direction = 'desc' } = query
  if (limit !== undefined && !/^\d+$/.test(limit))
    throw new Failure('REQUEST_INVALID', `limit: wanted a whole number, found '${limit}'`)
  if (key !== 'namespace' && key !== 'created_at' && key !== 'updated_at')
    throw new Failure(
      'REQUEST_INVALID',
      `sort_key: wanted namespace, created_at or updated_at, found '${key}'`,
    )
  if (direction !== 'asc' && direction !== 'desc')
    throw new Failure('REQUEST_INVALID', `sort_dir: wanted asc or desc, found '${direction}'`)
  if (visibility !== undefined && visibility !== 'public' && visibility !== 'private')
    throw new Failure(
      'REQUEST_INVALID',
      `visibility: wanted public or private, found '${visibility}'`,
    )
  return {
    viewer,
    sort: { key, direction },
    limit: Math.min(limit === undefined ? size : Number(limit), most),
    ...(visibility !== undefined && { visibility }),
    ...(types !== undefined && { resourceTypes: types.split(',') }),
    ...(marker !== undefined && { after: marker }),
  }
}

function definedOnly(values: Record<string, string | undefined>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(values).filter((entry): entry is [string, string] => entry[1] !== undefined),
  )
}
