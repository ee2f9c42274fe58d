/**
 * A small oVirt in this process: the engine's disks, transfers, machines and templates, and an image daemon. It checks who
 * asks, what must be said, states and ranges; what was sent can be read back. Source: oVirt, "REST API Guide"; ovirt-imageio.
 */
import { randomUUID } from 'node:crypto'
import { createServer, type IncomingMessage } from 'node:http'
import { endServer, listen } from './listen.ts'

export interface FakeOvirt extends AsyncDisposable {
  /** With `/ovirt-engine`. */
  readonly url: string
  readonly username: string
  readonly password: string
  /** What there is, by id, in collections: `disks`, `vms`, `templates`. */
  readonly things: Readonly<Record<string, Map<string, FakeThing>>>
  /** `PUT /images/…`, in order. */
  readonly asked: readonly string[]
  /** Bytes of data, and of zeros that were told of. */
  readonly received: { data: number; zeros: number }
  /** What a disk of this name holds. */
  read(name: string): Buffer
  /** So many answers of the daemon are 503; what is refused, by `POST /templates`. */
  readonly trouble: { failNext: number; readonly refused: Record<string, number> }
}

export type FakeThing = Record<string, unknown> & { readonly id: string; looks: number }

class Refusal extends Error {
  readonly status: number
  constructor(status: number, message: string) {
    super(message)
    this.status = status
  }
}

/** Disks are made of 0xAA, so that a hole nobody told of is seen. */
const DIRT = 0xaa

/** `keeps`: whether content is kept, to be read back. */
export async function openFakeOvirt({ keeps = true } = {}): Promise<FakeOvirt> {
  const username = 'admin@internal'
  const password = randomUUID()
  const things: Record<string, Map<string, FakeThing>> = {
    disks: new Map(),
    vms: new Map(),
    templates: new Map(),
    imagetransfers: new Map(),
  }
  const contents = new Map<string, Buffer>()
  const tickets = new Map<string, string>()
  const asked: string[] = []
  const received = { data: 0, zeros: 0 }
  const trouble: FakeOvirt['trouble'] = { failNext: 0, refused: {} }
  const of = (collection: string) => {
    const found = things[collection]
    if (found === undefined) throw new Refusal(404, `no ${collection}`)
    return found
  }
  const thing = (collection: string, id = '') => {
    const found = of(collection).get(id)
    if (found === undefined) throw new Refusal(404, `no ${collection} ${id}`)
    return found
  }
  const make = (collection: string, fields: Record<string, unknown>): FakeThing => {
    const made: FakeThing = { status: 'locked', ...fields, id: randomUUID(), looks: 0 }
    of(collection).set(made.id, made)
    return made
  }

  const create = (collection: string, body: Record<string, unknown>): FakeThing => {
    if (collection === 'imagetransfers') {
      const { disk, direction, format } = body as {
        disk?: { id?: string }
        direction?: string
        format?: string
      }
      if (thing('disks', disk?.id)['status'] !== 'ok') throw new Refusal(409, 'the disk is locked')
      if (direction !== 'upload' || format !== 'raw') throw new Refusal(400, 'direction, format')
      return make(collection, { disk: disk?.id, phase: 'initializing' })
    }
    if (typeof body['name'] !== 'string') throw new Refusal(400, 'name')
    const isTaken = [...of(collection).values()].some(({ name }) => name === body['name'])
    if (isTaken && collection !== 'disks') throw new Refusal(409, 'the name is taken')
    if (collection === 'disks') {
      const { provisioned_size: size, format, storage_domains } = body
      if (!Number.isInteger(size) || Number(size) % 512 !== 0)
        throw new Refusal(400, 'provisioned_size')
      if (format !== 'raw' || storage_domains === undefined) throw new Refusal(400, 'format')
      const made = make(collection, body)
      if (keeps) contents.set(made.id, Buffer.alloc(Number(size), DIRT))
      return made
    }
    if (collection === 'templates') {
      const { vm } = body as { vm?: { id?: string } }
      const { disk } = thing('vms', vm?.id)
      return make(collection, { ...body, disk: { ...thing('disks', String(disk)) } })
    }
    if (!body['cluster'] || !body['template']) throw new Refusal(400, 'cluster, template')
    return make(collection, { ...body, status: 'down' })
  }

  /** Things that are locked are ready when they are looked at for the second time. */
  const look = (collection: string, found: FakeThing): FakeThing => {
    if (found.looks++ === 0) return { ...found }
    if (found['status'] === 'locked') found['status'] = 'ok'
    if (found['phase'] === 'initializing') {
      const ticket = randomUUID()
      tickets.set(ticket, String(found['disk']))
      Object.assign(found, { phase: 'transferring', transfer_url: `${origin}/images/${ticket}` })
    }
    return { ...found }
  }

  const act = (id: string, action: string): object => {
    const transfer = thing('imagetransfers', id)
    if (transfer['phase'] !== 'transferring') throw new Refusal(409, 'it does not transfer')
    transfer['phase'] = action === 'finalize' ? 'finished_success' : 'cancelled'
    for (const [ticket, disk] of tickets) if (disk === transfer['disk']) tickets.delete(ticket)
    if (action === 'cancel') of('disks').delete(String(transfer['disk']))
    return {}
  }

  const ofEngine = (method: string, url: URL, body: string): unknown => {
    const [collection = '', id, action] = url.pathname.replace('/ovirt-engine/api/', '').split('/')
    const status = trouble.refused[`${method} /${collection}`]
    if (status !== undefined) throw new Refusal(status, 'no quota for that')
    const json = body === '' ? {} : (JSON.parse(body) as Record<string, unknown>)
    if (method === 'POST' && id === undefined) return create(collection, json)
    if (method === 'POST' && collection === 'imagetransfers') return act(id ?? '', action ?? '')
    if (method === 'POST' && action === 'diskattachments') {
      const { disk } = json as { disk?: { id: string } }
      thing('vms', id)['disk'] = thing('disks', disk?.id).id
      return { id: disk?.id }
    }
    if (method === 'POST' && action === 'nics') return { id: randomUUID() }
    if (method === 'DELETE') {
      const isUsed = [...of('vms').values()].some(({ disk }) => disk === id)
      if (collection === 'disks' && isUsed) throw new Refusal(409, 'the disk is attached')
      thing(collection, id)
      return of(collection).delete(id ?? '') && {}
    }
    if (id !== undefined) return look(collection, thing(collection, id))
    const name = /^name=(.*)$/.exec(url.searchParams.get('search') ?? '')?.[1]
    return {
      [collection.slice(0, -1)]: [...of(collection).values()].filter((one) => one['name'] === name),
    }
  }

  const ofDaemon = (request: IncomingMessage, ticket: string, body: Buffer): void => {
    if (trouble.failNext > 0) {
      trouble.failNext--
      throw new Refusal(503, 'busy')
    }
    const disk = tickets.get(ticket)
    if (disk === undefined) throw new Refusal(403, 'no such ticket')
    const size = Number(thing('disks', disk)['provisioned_size'])
    const content = contents.get(disk)
    if (request.method === 'PUT') {
      const [, from, last] =
        /^bytes (\d+)-(\d+)\/\*$/.exec(request.headers['content-range'] ?? '') ?? []
      const isWhole = Number(last) - Number(from) + 1 === body.length && Number(last) < size
      if (!isWhole) throw new Refusal(416, 'content-range')
      received.data += body.length
      content?.set(body, Number(from))
      return
    }
    const {
      op,
      offset = 0,
      size: length = 0,
    } = JSON.parse(body.toString()) as Record<string, number | string>
    if (op === 'flush') return
    const end = Number(offset) + Number(length)
    if (op !== 'zero' || !(Number(length) > 0) || end > size)
      throw new Refusal(400, 'op, offset, size')
    received.zeros += Number(length)
    content?.fill(0, Number(offset), end)
  }

  const answer = async (request: IncomingMessage): Promise<unknown> => {
    const { method = '', headers } = request
    const chunks: Buffer[] = []
    for await (const chunk of request as AsyncIterable<Buffer>) chunks.push(chunk)
    const body = Buffer.concat(chunks)
    const url = new URL(request.url ?? '', 'http://ovirt')
    asked.push(`${method} ${url.pathname}`)
    const ticket = /^\/images\/(.+)$/.exec(url.pathname)?.[1]
    if (ticket !== undefined) return ofDaemon(request, ticket, body)
    const basic = Buffer.from(`${username}:${password}`).toString('base64')
    if (headers.authorization !== `Basic ${basic}`) throw new Refusal(401, 'who are you?')
    if (headers['version'] !== '4' || headers.accept !== 'application/json')
      throw new Refusal(406, 'version, accept')
    return ofEngine(method, url, body.toString())
  }

  const server = createServer((request, response) => {
    answer(request).then(
      (json) => response.writeHead(200).end(json === undefined ? undefined : JSON.stringify(json)),
      (error: unknown) => {
        const { status, message } =
          error instanceof Refusal ? error : new Refusal(500, String(error))
        response
          .writeHead(status)
          .end(JSON.stringify({ reason: 'Operation Failed', detail: message }))
      },
    )
  })
  const origin = await listen(server)
  return {
    url: `${origin}/ovirt-engine`,
    username,
    password,
    things,
    asked,
    received,
    read: (name) => {
      const disk = [
        ...of('disks').values(),
        ...[...of('templates').values()].map((one) => one['disk'] as FakeThing),
      ]
      return contents.get(disk.find((one) => one['name'] === name)?.id ?? '') ?? Buffer.alloc(0)
    },
    trouble,
    [Symbol.asyncDispose]: () => endServer(server),
  }
}
