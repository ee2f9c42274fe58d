/** What the small OpenStack keeps, and how its services answer. */
import { randomUUID } from 'node:crypto'
import type { IncomingHttpHeaders } from 'node:http'

export interface Asked {
  readonly method: string
  readonly path: string
  readonly query: URLSearchParams
  readonly headers: IncomingHttpHeaders
  readonly body: Buffer
}

export interface Replied {
  readonly status: number
  readonly json?: unknown
  readonly bytes?: Buffer
  readonly headers?: Readonly<Record<string, string>>
}

export interface Route {
  readonly method: string
  readonly path: RegExp
  answer(asked: Asked, words: readonly (string | undefined)[]): Replied | Promise<Replied>
}

/** An error in the words of the service. */
export class Refusal extends Error {
  readonly status: number
  constructor(status: number, message: string) {
    super(message)
    this.status = status
  }

  json(path: string): object {
    const { status: code, message } = this
    if (path.startsWith('/network'))
      return { NeutronError: { type: 'Refused', message, detail: '' } }
    if (path.startsWith('/image')) return { message: `${code}`, body: message }
    const kinds: Readonly<Record<number, string>> = {
      400: 'badRequest',
      403: 'forbidden',
      404: 'itemNotFound',
      409: 'conflictingRequest',
    }
    return { [kinds[code] ?? 'computeFault']: { code, message } }
  }
}

export interface FakeServer {
  readonly id: string
  readonly name: string
  status: string
  fault: string | undefined
  readonly metadata: Record<string, string>
  readonly imageId: string | undefined
  readonly volumeIds: readonly string[]
  readonly portIds: readonly string[]
  readonly keyName: string | undefined
  readonly userData: string | undefined
  readonly flavor: string
}

export interface FakeImage {
  readonly id: string
  status: string
  data: Buffer
  fields: Record<string, unknown>
}

export interface FakePort {
  readonly id: string
  readonly name: string
  readonly network_id: string
  readonly description: string
  readonly security_groups: readonly string[]
  readonly fixed_ips: readonly { ip_address: string; subnet_id: string }[]
}

export interface FakeGroup {
  readonly id: string
  readonly name: string
  readonly description: string
  readonly rules: string[]
}

export interface FakeFloatingIp {
  readonly id: string
  readonly floating_ip_address: string
  readonly description: string
  readonly port_id: string | null
}

export interface FakeVolume {
  readonly id: string
  readonly name: string
  status: string
  readonly size: number
  readonly metadata: Record<string, string>
}

export interface FakeState {
  url: string
  readonly project: string
  readonly microversion: string
  readonly flavors: { id: string; name: string; vcpus: number; ram: number; disk: number }[]
  readonly networks: { id: string; name: string; external: boolean; shared: boolean }[]
  readonly servers: Map<string, FakeServer>
  readonly keypairs: Map<string, string>
  readonly ports: Map<string, FakePort>
  readonly groups: Map<string, FakeGroup>
  readonly floatingIps: Map<string, FakeFloatingIp>
  readonly volumes: Map<string, FakeVolume>
  readonly images: Map<string, FakeImage>
  /** Address that ports get. */
  address: string
  /** What becomes of servers, by a piece of their name. Default ACTIVE. */
  becomes: Readonly<Record<string, { status: string; fault?: string }>>
  /** Called whenever somebody looks at a server, before it is shown. */
  onLook: (server: FakeServer) => void
  /** What consoles show; undefined: they cannot be read. */
  console: string | undefined
  /** Numbers of diagnostics; undefined: nobody may know. */
  diagnostics: Readonly<Record<string, unknown>> | undefined
  /** What becomes of images that are made of servers. Default active. */
  snapshotStatus: string
  readonly importMethods: string[]
  /** How much of a list is told at a time. Default: all. */
  pageSize: number
  leftovers(): string[]
}

export function newState(project: string, microversion: string): FakeState {
  const state: FakeState = {
    url: '',
    project,
    microversion,
    flavors: [
      { id: '1', name: 'tiny', vcpus: 1, ram: 512, disk: 2 },
      { id: '2', name: 'small', vcpus: 1, ram: 1024, disk: 6 },
    ],
    networks: [
      { id: randomUUID(), name: 'private', external: false, shared: false },
      { id: randomUUID(), name: 'provider', external: true, shared: true },
    ],
    servers: new Map(),
    keypairs: new Map(),
    ports: new Map(),
    groups: new Map(),
    floatingIps: new Map(),
    volumes: new Map(),
    images: new Map(),
    address: '127.0.0.1',
    becomes: {},
    onLook: () => {},
    console: '',
    diagnostics: undefined,
    snapshotStatus: 'active',
    importMethods: ['glance-direct'],
    pageSize: Infinity,
    leftovers: () => [
      ...[...state.servers.values()].map(({ name }) => `server ${name}`),
      ...[...state.keypairs.keys()].map((name) => `keypair ${name}`),
      ...[...state.ports.values()].map(({ name }) => `port ${name}`),
      ...[...state.groups.values()].map(({ name }) => `security-group ${name}`),
      ...[...state.floatingIps.values()].map(
        ({ floating_ip_address }) => `floating-ip ${floating_ip_address}`,
      ),
      ...[...state.volumes.values()].map(({ name }) => `volume ${name}`),
      ...[...state.images.values()]
        .filter(({ fields }) => fields['ingot_build'] !== undefined)
        .map(({ fields }) => `image ${String(fields['name'])}`),
    ],
  }
  return state
}

/** The JSON of a request, which must have no keys but these. */
export function jsonIn(
  asked: Asked,
  root: string,
  keys: readonly string[],
): Record<string, unknown> {
  const whole = JSON.parse(asked.body.toString()) as Record<string, unknown>
  const inner = whole[root]
  if (typeof inner !== 'object' || inner === null || Object.keys(whole).length !== 1)
    throw new Refusal(400, `Invalid input: ${root} is a required property`)
  const unknown = Object.keys(inner).filter((key) => !keys.includes(key))
  if (unknown.length > 0)
    throw new Refusal(400, `Additional properties are not allowed (${unknown.join(', ')})`)
  return inner as Record<string, unknown>
}

/** A page of a list, with a link to the next one; who asks for it has to ask for the same again. */
export function pageOf(
  { pageSize }: FakeState,
  { path, query }: Asked,
  key: string,
  all: readonly object[],
): Replied {
  const from = Number(query.get('marker') ?? 0)
  const next = new URLSearchParams(query)
  next.set('marker', String(from + pageSize))
  const link = { rel: 'next', href: `http://behind.a.proxy${path}?${next.toString()}` }
  return {
    status: 200,
    json: {
      [key]: all.slice(from, from + pageSize),
      ...(from + pageSize < all.length && { [`${key}_links`]: [link] }),
    },
  }
}

/** What must be there. */
export function demand<Thing>(
  all: ReadonlyMap<string, Thing>,
  id: unknown,
  what: string,
  status = 404,
): Thing {
  const found = all.get(String(id))
  if (found === undefined) throw new Refusal(status, `${what} ${String(id)} could not be found.`)
  return found
}
