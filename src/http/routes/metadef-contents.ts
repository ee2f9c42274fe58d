import type { FastifyInstance } from 'fastify'
import {
  objectSchema,
  propertySchema,
  resourceTypeSchema,
  tagSchema,
  tagsSchema,
} from '../../api/metadef-schemas.ts'
import {
  fromWireObject,
  fromWireProperty,
  fromWireResourceType,
  fromWireTag,
  toWireObject,
  toWireProperty,
  toWireResourceType,
  toWireTag,
} from '../../api/metadef-wire.ts'
import type { Service } from '../../app/service.ts'
import { Failure } from '../../base/failure.ts'
import {
  addListed,
  addProperty,
  checkUnprotected,
  findListed,
  removeListed,
  removeProperty,
  replaceListed,
  replaceProperty,
} from '../../metadefs/definitions.ts'
import type { Namespace } from '../../metadefs/metadefs.ts'
import { sendJson, sendNothing } from '../_answer.ts'
import { type NamespaceVisit, openNamespaceDoor, readShape } from '../_metadef-door.ts'

const PATH = '/v2/metadefs/namespaces/:namespace'

/** What is in a namespace: properties, objects, tags, and the types of resources it is for. */
export function metadefContentRoutes(app: FastifyInstance, service: Service): void {
  propertyRoutes(app, service)
  objectRoutes(app, service)
  tagRoutes(app, service)
  resourceTypeRoutes(app, service)
}

function propertyRoutes(app: FastifyInstance, service: Service): void {
  const at = openNamespaceDoor(service)
  app.get(
    `${PATH}/properties`,
    { schema: { summary: 'list the properties of a namespace' } },
    at('get_metadef_properties', async ({ reply, namespace: { properties } }) => {
      const shown = Object.entries(properties).map(([name, one]) => [
        name,
        toWireProperty(name, one),
      ])
      return sendJson(reply, 200, { properties: Object.fromEntries(shown) })
    }),
  )
  app.post(
    `${PATH}/properties`,
    { schema: { summary: 'add a property' } },
    at('add_metadef_property', async (visit) => {
      const { name, property } = fromWireProperty(await readShape(visit, propertySchema))
      await change(visit, (namespace) => addProperty(namespace, name, property))
      locate(visit, 'properties', name)
      return sendJson(visit.reply, 201, toWireProperty(name, property))
    }),
  )
  app.get(
    `${PATH}/properties/:name`,
    { schema: { summary: 'show a property' } },
    at('get_metadef_property', async ({ request, reply, namespace, name }) => {
      const { resource_type: type } = request.query as Record<string, string | undefined>
      const found = findProperty(namespace, name, type)
      return sendJson(reply, 200, toWireProperty(name, found))
    }),
  )
  app.put(
    `${PATH}/properties/:name`,
    { schema: { summary: 'change a property' } },
    at('modify_metadef_property', async (visit) => {
      const { name, property } = fromWireProperty(await readShape(visit, propertySchema))
      await change(visit, (namespace) => replaceProperty(namespace, visit.name, name, property))
      return sendJson(visit.reply, 200, toWireProperty(name, property))
    }),
  )
  app.delete(
    `${PATH}/properties/:name`,
    { schema: { summary: 'delete a property' } },
    at('remove_metadef_property', async (visit) => {
      await change(visit, (namespace) => removeProperty(namespace, visit.name))
      return sendNothing(visit.reply)
    }),
  )
  app.delete(
    `${PATH}/properties`,
    { schema: { summary: 'delete all properties of a namespace' } },
    at('remove_metadef_property', async (visit) => await empty(visit, { properties: {} })),
  )
}

/** By its own name; or, for a type of resource, by the name that it has there. */
function findProperty(namespace: Namespace, name: string, resourceType: string | undefined) {
  const prefix =
    resourceType === undefined
      ? ''
      : (findListed(namespace, 'resourceTypes', resourceType).prefix ?? '')
  const own = name.startsWith(prefix) ? name.slice(prefix.length) : name
  const found = Object.hasOwn(namespace.properties, own) ? namespace.properties[own] : undefined
  if (found !== undefined) return found
  throw new Failure(
    'DEFINITION_NOT_FOUND',
    `no metadata definition property ${name} in namespace ${namespace.namespace}`,
  )
}

function objectRoutes(app: FastifyInstance, service: Service): void {
  const at = openNamespaceDoor(service)
  const { now } = service.context
  app.get(
    `${PATH}/objects`,
    { schema: { summary: 'list the objects of a namespace' } },
    at('get_metadef_objects', async ({ request, reply, namespace }) => {
      const { shown, links } = page(namespace.objects, request.query, request.url)
      return sendJson(reply, 200, {
        objects: shown.map((one) => toWireObject(namespace.namespace, one)),
        ...links,
        schema: '/v2/schemas/metadefs/objects',
      })
    }),
  )
  app.post(
    `${PATH}/objects`,
    { schema: { summary: 'add an object' } },
    at('add_metadef_object', async (visit) => {
      const object = fromWireObject(await readShape(visit, objectSchema), now())
      await change(visit, (namespace) => addListed(namespace, 'objects', object))
      locate(visit, 'objects', object.name)
      return sendJson(visit.reply, 201, toWireObject(visit.namespace.namespace, object))
    }),
  )
  app.get(
    `${PATH}/objects/:name`,
    { schema: { summary: 'show an object' } },
    at('get_metadef_object', async ({ reply, namespace, name }) =>
      sendJson(
        reply,
        200,
        toWireObject(namespace.namespace, findListed(namespace, 'objects', name)),
      ),
    ),
  )
  app.put(
    `${PATH}/objects/:name`,
    { schema: { summary: 'change an object' } },
    at('modify_metadef_object', async (visit) => {
      const given = fromWireObject(await readShape(visit, objectSchema), now())
      const changed = await change(visit, (namespace) => {
        const { createdAt } = findListed(namespace, 'objects', visit.name)
        return replaceListed(namespace, 'objects', visit.name, { ...given, createdAt })
      })
      const object = findListed(changed, 'objects', given.name)
      return sendJson(visit.reply, 200, toWireObject(changed.namespace, object))
    }),
  )
  app.delete(
    `${PATH}/objects/:name`,
    { schema: { summary: 'delete an object' } },
    at('delete_metadef_object', async (visit) => {
      await change(visit, (namespace) => removeListed(namespace, 'objects', visit.name))
      return sendNothing(visit.reply)
    }),
  )
  app.delete(
    `${PATH}/objects`,
    { schema: { summary: 'delete all objects of a namespace' } },
    at('delete_metadef_object', async (visit) => await empty(visit, { objects: [] })),
  )
}

function tagRoutes(app: FastifyInstance, service: Service): void {
  const at = openNamespaceDoor(service)
  const { now } = service.context
  app.get(
    `${PATH}/tags`,
    { schema: { summary: 'list the tags of a namespace' } },
    at('get_metadef_tags', async ({ request, reply, namespace }) => {
      const { shown, links } = page(namespace.tags, request.query, request.url)
      const tags = shown.map(({ name }) => ({ name }))
      return sendJson(reply, 200, { tags, ...links, schema: '/v2/schemas/metadefs/tags' })
    }),
  )
  app.post(
    `${PATH}/tags`,
    { schema: { summary: 'replace the tags of a namespace, or add to them' } },
    at('add_metadef_tags', async (visit) => {
      const { tags } = await readShape(visit, tagsSchema)
      const appends = /^true$/i.test(String(visit.request.headers['x-openstack-append'] ?? ''))
      await change(visit, (namespace) =>
        tags.reduce(
          (all, tag) => addListed(all, 'tags', fromWireTag(tag, now())),
          appends ? namespace : { ...namespace, tags: [] },
        ),
      )
      return sendJson(visit.reply, 201, { tags })
    }),
  )
  app.post(
    `${PATH}/tags/:name`,
    { schema: { summary: 'add a tag' } },
    at('add_metadef_tag', async (visit) => {
      const tag = fromWireTag({ name: checkTagName(visit.name) }, now())
      await change(visit, (namespace) => addListed(namespace, 'tags', tag))
      locate(visit, 'tags', tag.name)
      return sendJson(visit.reply, 201, toWireTag(tag))
    }),
  )
  app.get(
    `${PATH}/tags/:name`,
    { schema: { summary: 'show a tag' } },
    at('get_metadef_tag', async ({ reply, namespace, name }) =>
      sendJson(reply, 200, toWireTag(findListed(namespace, 'tags', name))),
    ),
  )
  app.put(
    `${PATH}/tags/:name`,
    { schema: { summary: 'change a tag' } },
    at('modify_metadef_tag', async (visit) => {
      const given = fromWireTag(await readShape(visit, tagSchema), now())
      const changed = await change(visit, (namespace) => {
        const { createdAt } = findListed(namespace, 'tags', visit.name)
        return replaceListed(namespace, 'tags', visit.name, { ...given, createdAt })
      })
      return sendJson(visit.reply, 200, toWireTag(findListed(changed, 'tags', given.name)))
    }),
  )
  app.delete(
    `${PATH}/tags/:name`,
    { schema: { summary: 'delete a tag' } },
    at('delete_metadef_tag', async (visit) => {
      await change(visit, (namespace) => removeListed(namespace, 'tags', visit.name))
      return sendNothing(visit.reply)
    }),
  )
  app.delete(
    `${PATH}/tags`,
    { schema: { summary: 'delete all tags of a namespace' } },
    at('delete_metadef_tags', async (visit) => await empty(visit, { tags: [] })),
  )
}

function resourceTypeRoutes(app: FastifyInstance, service: Service): void {
  const at = openNamespaceDoor(service)
  const { now } = service.context
  app.get(
    `${PATH}/resource_types`,
    { schema: { summary: 'list the types of resources that a namespace is for' } },
    at('get_metadef_resource_type', async ({ reply, namespace: { resourceTypes } }) =>
      sendJson(reply, 200, { resource_type_associations: resourceTypes.map(toWireResourceType) }),
    ),
  )
  app.post(
    `${PATH}/resource_types`,
    { schema: { summary: 'tie a type of resource to a namespace' } },
    at('add_metadef_resource_type_association', async (visit) => {
      const type = fromWireResourceType(await readShape(visit, resourceTypeSchema), now())
      await change(visit, (namespace) => addListed(namespace, 'resourceTypes', type))
      locate(visit, 'resource_types', type.name)
      return sendJson(visit.reply, 201, toWireResourceType(type))
    }),
  )
  app.delete(
    `${PATH}/resource_types/:name`,
    { schema: { summary: 'untie it' } },
    at('remove_metadef_resource_type_association', async (visit) => {
      await change(visit, (namespace) => removeListed(namespace, 'resourceTypes', visit.name))
      return sendNothing(visit.reply)
    }),
  )
}

async function change(
  { service, namespace }: NamespaceVisit,
  work: (namespace: Namespace) => Namespace,
): Promise<Namespace> {
  return await service.metadefs.change(namespace.namespace, work)
}

/** Takes everything of one kind out of the namespace. */
async function empty(visit: NamespaceVisit, nothing: Partial<Namespace>): Promise<unknown> {
  await change(visit, (namespace) => {
    checkUnprotected(namespace)
    return { ...namespace, ...nothing }
  })
  return sendNothing(visit.reply)
}

function locate({ reply, namespace }: NamespaceVisit, kind: string, name: string): void {
  const base = `/v2/metadefs/namespaces/${encodeURIComponent(namespace.namespace)}`
  reply.header('location', `${base}/${kind}/${encodeURIComponent(name)}`)
}

/** The page of a list that `limit` and `marker` (a name) ask for. */
function page<T extends { readonly name: string }>(
  all: readonly T[],
  query: unknown,
  url: string,
): { shown: readonly T[]; links: { first: string; next?: string } } {
  const { limit, marker } = query as Record<string, string | undefined>
  if (limit !== undefined && !/^\d+$/.test(limit))
    throw new Failure('REQUEST_INVALID', `limit: wanted a whole number, found '${limit}'`)
  const start = marker === undefined ? 0 : all.findIndex(({ name }) => name === marker) + 1
  if (marker !== undefined && start === 0)
    throw new Failure('REQUEST_INVALID', `marker: there is no '${marker}'`)
  const shown = all.slice(start, limit === undefined ? undefined : start + Number(limit))
  const { pathname } = new URL(url, 'http://localhost')
  const link = (from?: string) => {
    const parameters = new URLSearchParams({
      ...(limit !== undefined && { limit }),
      ...(from !== undefined && { marker: from }),
    })
    return parameters.size === 0 ? pathname : `${pathname}?${parameters.toString()}`
  }
  const last = shown.at(-1)
  const hasMore = last !== undefined && start + shown.length < all.length
  return { shown, links: { first: link(), ...(hasMore && { next: link(last.name) }) } }
}

function checkTagName(name: string): string {
  if (name.length > 0 && name.length <= 80) return name
  throw new Failure('REQUEST_INVALID', 'the name of a tag has 1 to 80 characters')
}
