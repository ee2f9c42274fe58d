/** The small image service. Source: the Image API v2 reference. */
import { createHash, randomUUID } from 'node:crypto'
import {
  demand,
  type FakeImage,
  type FakeState,
  Refusal,
  type Route,
} from './_fake-openstack-state.ts'

/** An image that was made of a server or a volume. */
export function addSnapshot(
  state: FakeState,
  name: string,
  properties: Readonly<Record<string, string>>,
): string {
  const fields = { name, disk_format: 'qcow2', container_format: 'bare', ...properties }
  return addImage(state, fields, state.snapshotStatus, Buffer.from(`disk of ${name}`)).id
}

const DEFAULTS = { visibility: 'private', min_disk: 0, min_ram: 0, tags: [] }

export function addImage(
  { images }: FakeState,
  fields: Record<string, unknown>,
  status: string,
  data: Buffer,
): FakeImage {
  const id = typeof fields['id'] === 'string' ? fields['id'] : randomUUID()
  const image = { id, status, data, fields: { ...DEFAULTS, ...fields } }
  images.set(id, image)
  return image
}

function at(path: string): RegExp {
  return new RegExp(`^/image/v2/${path}$`)
}

export function glanceRoutes(state: FakeState): Route[] {
  const { images } = state
  const image = (id: unknown) => demand(images, id, 'Image')
  return [
    {
      method: 'GET',
      path: at('images'),
      answer: ({ query }) => {
        const marker = query.get('marker')
        const all = [...images.values()].map(wire).filter((one) => fits(one, query))
        const from = marker === null ? 0 : all.findIndex((one) => one['id'] === marker) + 1
        return {
          status: 200,
          json: { images: all.slice(from, from + Number(query.get('limit') ?? 25)) },
        }
      },
    },
    {
      method: 'POST',
      path: at('images'),
      answer: ({ body }) => {
        const fields = JSON.parse(body.toString()) as Record<string, unknown>
        if (images.has(String(fields['id'])))
          throw new Refusal(409, `Image ID ${String(fields['id'])} already exists!`)
        return { status: 201, json: wire(addImage(state, fields, 'queued', Buffer.alloc(0))) }
      },
    },
    {
      method: 'GET',
      path: at('images/([^/]+)'),
      answer: (_, [id]) => ({ status: 200, json: wire(image(id)) }),
    },
    {
      method: 'PATCH',
      path: at('images/([^/]+)'),
      answer: ({ body, headers }, [id]) => {
        if (headers['content-type'] !== 'application/openstack-images-v2.1-json-patch')
          throw new Refusal(415, 'Unsupported')
        const found = image(id)
        const fields = { ...found.fields }
        for (const { op, path, value } of JSON.parse(body.toString()) as {
          op: string
          path: string
          value: unknown
        }[]) {
          const name = path.slice(1)
          if (op !== 'add' && !(name in fields))
            throw new Refusal(409, `Property ${name} does not exist.`)
          if (op === 'remove') delete fields[name]
          else fields[name] = value
        }
        found.fields = fields
        return { status: 200, json: wire(found) }
      },
    },
    {
      method: 'DELETE',
      path: at('images/([^/]+)'),
      answer: (_, [id]) => {
        images.delete(image(id).id)
        return { status: 204 }
      },
    },
    {
      method: 'PUT',
      path: at('images/([^/]+)/file'),
      answer: ({ body }, [id]) => {
        const found = image(id)
        if (found.status !== 'queued')
          throw new Refusal(
            409,
            `Image status transition from ${found.status} to saving is not allowed`,
          )
        found.data = body
        found.status = 'active'
        return { status: 204 }
      },
    },
    {
      method: 'GET',
      path: at('images/([^/]+)/file'),
      answer: ({ headers }, [id]) => {
        const { data } = image(id)
        const [, from] = /^bytes=(\d+)-$/.exec(headers.range ?? '') ?? []
        return from === undefined
          ? { status: 200, bytes: data }
          : { status: 206, bytes: data.subarray(Number(from)) }
      },
    },
    {
      method: 'POST',
      path: at('images/([^/]+)/import'),
      answer: ({ body }, [id]) => {
        const { method } = JSON.parse(body.toString()) as { method: { name: string; uri?: string } }
        if (!state.importMethods.includes(method.name))
          throw new Refusal(400, 'Unknown import method name.')
        const found = image(id)
        found.data = Buffer.from(`content of ${method.uri ?? 'the stage'}`)
        found.status = 'active'
        return { status: 202 }
      },
    },
    {
      method: 'GET',
      path: at('info/import'),
      answer: () => ({ status: 200, json: { 'import-methods': { value: state.importMethods } } }),
    },
  ]
}

function wire({ id, status, data, fields }: FakeImage): Record<string, unknown> {
  const isFull = status === 'active'
  return {
    ...fields,
    id,
    status,
    size: isFull ? data.length : null,
    os_hash_algo: isFull ? 'sha512' : null,
    os_hash_value: isFull ? createHash('sha512').update(data).digest('hex') : null,
  }
}

/** All are the project's own. */
const PAGING = ['limit', 'marker', 'sort', 'owner']

function fits(image: Readonly<Record<string, unknown>>, query: URLSearchParams): boolean {
  return [...query].every(([name, value]) => {
    if (PAGING.includes(name)) return true
    const [, quoted] = /^in:"(.*)"$/.exec(value) ?? []
    return image[name] === (quoted ?? value)
  })
}
