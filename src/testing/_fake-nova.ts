/** The small compute service. Source: the Compute API reference. */
import { randomUUID } from 'node:crypto'
import { addSnapshot } from './_fake-glance.ts'
import {
  type Asked,
  demand,
  type FakeServer,
  type FakeState,
  jsonIn,
  pageOf,
  Refusal,
  type Replied,
  type Route,
} from './_fake-openstack-state.ts'

const SERVER_KEYS = [
  'name',
  'flavorRef',
  'imageRef',
  'block_device_mapping_v2',
  'networks',
  'key_name',
  'user_data',
  'availability_zone',
  'config_drive',
  'metadata',
]

function at(path: string): RegExp {
  return new RegExp(`^/compute/v2\\.1${path}$`)
}

export function novaRoutes(state: FakeState): Route[] {
  const { servers, keypairs } = state
  const server = (id: unknown) => demand(servers, id, 'Instance')
  return [
    {
      method: 'GET',
      path: /^\/compute\/v2\.1\/$/,
      answer: () => {
        const { microversion: version } = state
        return {
          status: 200,
          json: { version: { id: 'v2.1', version, min_version: '2.1', status: 'CURRENT' } },
        }
      },
    },
    {
      method: 'GET',
      path: at('/servers/detail'),
      answer: (asked) => {
        const name = new RegExp(asked.query.get('name') ?? '')
        const found = [...servers.values()].filter((one) => name.test(one.name))
        const wires = found.map((one) => wire(state, one))
        return pageOf(state, asked, 'servers', wires)
      },
    },
    { method: 'POST', path: at('/servers'), answer: (asked) => create(state, asked) },
    {
      method: 'GET',
      path: at('/servers/([^/]+)'),
      answer: (_, [id]) => {
        const found = server(id)
        state.onLook(found)
        return { status: 200, json: { server: wire(state, found) } }
      },
    },
    {
      method: 'DELETE',
      path: at('/servers/([^/]+)'),
      answer: (_, [id]) => {
        const { volumeIds } = server(id)
        for (const one of volumeIds) demand(state.volumes, one, 'Volume').status = 'available'
        servers.delete(String(id))
        return { status: 204 }
      },
    },
    {
      method: 'POST',
      path: at('/servers/([^/]+)/action'),
      answer: (asked, [id]) => act(state, server(id), asked),
    },
    {
      method: 'GET',
      path: at('/servers/([^/]+)/diagnostics'),
      answer: (_, [id]) => {
        server(id)
        if (state.diagnostics === undefined)
          throw new Refusal(403, 'Policy does not allow this request to be performed.')
        return { status: 200, json: state.diagnostics }
      },
    },
    {
      method: 'GET',
      path: at('/os-keypairs'),
      answer: (asked) => {
        const wires = [...keypairs].map(([name]) => ({ keypair: { name } }))
        return pageOf(state, asked, 'keypairs', wires)
      },
    },
    {
      method: 'POST',
      path: at('/os-keypairs'),
      answer: (asked) => {
        const { name, public_key: key } = jsonIn(asked, 'keypair', [
          'name',
          'public_key',
        ]) as Record<string, string>
        if (!name || !/^ssh-\S+ AAAA/.test(key ?? ''))
          throw new Refusal(400, 'Keypair data is invalid')
        if (keypairs.has(name)) throw new Refusal(409, `Key pair '${name}' already exists.`)
        keypairs.set(name, key ?? '')
        return { status: 201, json: { keypair: { name } } }
      },
    },
    {
      method: 'GET',
      path: at('/os-keypairs/([^/]+)'),
      answer: (_, [name]) => ({
        status: 200,
        json: { keypair: { name, public_key: demand(keypairs, name, 'Keypair') } },
      }),
    },
    {
      method: 'DELETE',
      path: at('/os-keypairs/([^/]+)'),
      answer: (_, [name]) => {
        if (!keypairs.delete(String(name))) throw new Refusal(404, 'Keypair not found')
        return { status: 204 }
      },
    },
    {
      method: 'GET',
      path: at('/flavors/detail'),
      answer: (asked) => pageOf(state, asked, 'flavors', state.flavors),
    },
    {
      method: 'GET',
      path: at('/os-availability-zone'),
      answer: () => ({
        status: 200,
        json: { availabilityZoneInfo: [{ zoneName: 'nova', zoneState: { available: true } }] },
      }),
    },
  ]
}

function create(state: FakeState, asked: Asked): Replied {
  const given = jsonIn(asked, 'server', SERVER_KEYS)
  const { name, imageRef, flavorRef, networks, key_name: keyName, metadata } = given
  const disks = (given['block_device_mapping_v2'] ?? []) as { uuid: string }[]
  if (!state.flavors.some(({ id }) => id === flavorRef))
    throw new Refusal(400, `Flavor ${String(flavorRef)} could not be found.`)
  if (imageRef === undefined && disks.length === 0)
    throw new Refusal(400, 'Invalid imageRef provided.')
  if (imageRef !== undefined && demand(state.images, imageRef, 'Image', 400).status !== 'active')
    throw new Refusal(400, `Image ${JSON.stringify(imageRef)} is not active.`)
  if (!Array.isArray(networks)) throw new Refusal(400, 'Invalid input: networks')
  const portIds = networks.map(
    ({ port }: { port: string }) => demand(state.ports, port, 'Port', 400).id,
  )
  if (keyName !== undefined) demand(state.keypairs, keyName, 'Keypair', 400)
  for (const { uuid } of disks) demand(state.volumes, uuid, 'Volume', 400).status = 'in-use'
  const [, fate] =
    Object.entries(state.becomes).find(([piece]) => String(name).includes(piece)) ?? []
  const server: FakeServer = {
    id: randomUUID(),
    name: String(name),
    status: fate?.status ?? 'ACTIVE',
    fault: fate?.fault,
    metadata: metadata as Record<string, string>,
    imageId: imageRef as string | undefined,
    volumeIds: disks.map(({ uuid }) => uuid),
    portIds,
    keyName: keyName as string | undefined,
    userData: given['user_data'] as string | undefined,
    flavor: String(flavorRef),
  }
  state.servers.set(server.id, server)
  return { status: 202, json: { server: { id: server.id, adminPass: 'hidden' } } }
}

function act(state: FakeState, server: FakeServer, asked: Asked): Replied {
  const [[action, value] = []] = Object.entries(
    JSON.parse(asked.body.toString()) as Record<string, unknown>,
  )
  if (action === 'os-stop') {
    if (server.status !== 'ACTIVE')
      throw new Refusal(409, `Cannot 'stop' instance while it is in vm_state ${server.status}`)
    server.status = 'SHUTOFF'
    return { status: 202 }
  }
  if (action === 'os-start') {
    server.status = 'ACTIVE'
    return { status: 202 }
  }
  if (action === 'os-getConsoleOutput') {
    if (state.console === undefined)
      throw new Refusal(501, 'Unable to get console log, functionality not implemented')
    return { status: 200, json: { output: state.console } }
  }
  if (action !== 'createImage') throw new Refusal(400, `There is no such action: ${action}`)
  const { name, metadata } = value as { name: string; metadata: Record<string, string> }
  const id = addSnapshot(state, name, {
    ...metadata,
    instance_uuid: server.id,
    base_image_ref: server.imageId ?? '',
    image_type: 'snapshot',
  })
  const isOld = Number(state.microversion.split('.')[1]) < 45
  if (isOld) return { status: 202, headers: { location: `${state.url}/image/images/${id}` } }
  return { status: 202, json: { image_id: id } }
}

function wire(state: FakeState, server: FakeServer): object {
  const { id, name, status, fault, metadata, portIds, volumeIds } = server
  const addresses = portIds.flatMap((port) => state.ports.get(port)?.fixed_ips ?? [])
  return {
    id,
    name,
    status,
    metadata,
    'OS-EXT-STS:task_state': null,
    'os-extended-volumes:volumes_attached': volumeIds.map((one) => ({ id: one })),
    addresses: {
      net: addresses.map(({ ip_address: addr }) => ({
        addr,
        version: 4,
        'OS-EXT-IPS:type': 'fixed',
      })),
    },
    ...(fault !== undefined && { fault: { code: 500, message: fault } }),
  }
}
