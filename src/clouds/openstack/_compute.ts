/** Nova's wire. Source: the Compute API reference, v2.1 and its microversion history. */
import { Failure, isFailure } from '../../base/failure.ts'
import { ask, askOnceOnly, askToDelete, type Asking, type Question } from './_ask.ts'
import { asWire, listOf, numberOr, textOf, textOr, textsOf, type Wire } from './_fields.ts'
import { askPages } from './_pages.ts'
import { toLine } from '../refusal-text.ts'
import type {
  ComputeService,
  Flavor,
  NewServer,
  Server,
  ServerActivity,
  ServerAddress,
  ServerDisk,
} from './compute.ts'

export function openCompute(
  asking: Asking,
  chooseVersion: (asking: Asking) => Promise<string>,
): ComputeService {
  const microversion = () => chooseVersion(asking)
  const headers = async () => {
    const spoken = await microversion()
    return {
      'openstack-api-version': `compute ${spoken}`,
      'x-openstack-nova-api-version': spoken,
    }
  }
  const askNova = async (question: Question) =>
    await ask(asking, { ...question, headers: await headers() })

  const listNova = async (path: string, key: string, query: Question['query'] = {}) =>
    await askPages(asking, { path, query, headers: await headers() }, key)

  const listServers = async (namePrefix: string): Promise<Server[]> => {
    // A regular expression of the database; the names are compared here as well.
    const query = { name: `^${namePrefix}` }
    return (await listNova('/servers/detail', 'servers', query))
      .map(toServer)
      .filter(({ name }) => name.startsWith(namePrefix))
  }

  const act = async (id: string, action: object, repeatable: boolean) =>
    await askNova({ method: 'POST', path: `${at(id)}/action`, json: action, repeatable })

  /** An action whose second time says 409, for it was begun already. */
  const actOnce = async (id: string, action: object, done: readonly string[]) => {
    try {
      await act(id, action, true)
    } catch (error) {
      const isConflict = isFailure(error) && error.details['status'] === 409
      if (!isConflict) throw error
      const { status, taskState } = toServer(await readServer(id))
      if (!done.includes(status) && taskState === null) throw error
    }
  }

  const readServer = async (id: string): Promise<Wire> =>
    asWire(asWire((await askNova({ path: at(id) })).json, 'server')['server'], 'server')

  return {
    microversion,
    listServers,
    createServer: async (given) =>
      await askOnceOnly(
        asking,
        async () => {
          const json = { server: toWire(given) }
          const answer = await askNova({ method: 'POST', path: '/servers', json })
          return textOf(asWire(asWire(answer.json, 'server')['server'], 'server'), 'id')
        },
        async () => (await listServers(given.name)).find((one) => isSame(one, given))?.id,
      ),
    getServer: async (id) => toServer(await readServer(id)),
    deleteServer: async (id) => await askToDelete(asking, at(id), await headers()),
    startServer: async (id) => await actOnce(id, { 'os-start': null }, ['ACTIVE']),
    stopServer: async (id) => await actOnce(id, { 'os-stop': null }, ['SHUTOFF']),
    createImage: async (id, name, metadata) => {
      const { json, headers } = await act(id, { createImage: { name, metadata } }, false)
      // Since 2.45 in the body, before at the end of an address.
      const inBody = textOr(asWire(json ?? {}, 'image'), 'image_id', undefined)
      const imageId = inBody ?? /[^/]+$/.exec(headers.location ?? '')?.[0]
      if (imageId !== undefined) return imageId
      throw new Failure('CLOUD_FAILED', `${asking.name} did not say which image it makes`)
    },
    readConsole: async (id, length = 200) => {
      try {
        const { json } = await act(id, { 'os-getConsoleOutput': { length } }, true)
        return textOr(asWire(json, 'console'), 'output', undefined)
      } catch (error) {
        return unlessHidden(error)
      }
    },
    readActivity: async (id) => {
      try {
        return toActivity(asWire((await askNova({ path: `${at(id)}/diagnostics` })).json, 'sums'))
      } catch (error) {
        return unlessHidden(error)
      }
    },
    createKeypair: async (name, publicKey) => {
      try {
        const json = { keypair: { name, public_key: publicKey } }
        await askNova({ method: 'POST', path: '/os-keypairs', json, repeatable: true })
      } catch (error) {
        // Ours by its name: made by a question whose answer was lost, or by an attempt before this one.
        if (!(isFailure(error) && error.details['status'] === 409)) throw error
        const path = `/os-keypairs/${encodeURIComponent(name)}`
        const { json } = await askNova({ path })
        const there = textOf(asWire(asWire(json, 'key')['keypair'], 'key'), 'public_key')
        if (there.trim() !== publicKey.trim()) throw error
      }
    },
    listKeypairs: async () =>
      (await listNova('/os-keypairs', 'keypairs')).map((one) =>
        textOf(asWire(one['keypair'], 'key'), 'name'),
      ),
    deleteKeypair: async (name) =>
      await askToDelete(asking, `/os-keypairs/${encodeURIComponent(name)}`, await headers()),
    listFlavors: async () => (await listNova('/flavors/detail', 'flavors')).map(toFlavor),
    listZones: async () => {
      const { json } = await askNova({ path: '/os-availability-zone' })
      return listOf(asWire(json, 'zones')['availabilityZoneInfo'], 'zones')
        .filter((zone) => asWire(zone['zoneState'], 'zone')['available'] === true)
        .map((zone) => textOf(zone, 'zoneName'))
    },
  }
}

function at(id: string): string {
  return `/servers/${encodeURIComponent(id)}`
}

/** What we may not see, or what is not there (yet), is no failure. */
function unlessHidden(error: unknown): undefined {
  if (isFailure(error, 'CLOUD_DENIED') || isFailure(error, 'CLOUD_NOT_FOUND')) return undefined
  if (isFailure(error) && [400, 409, 501].includes(Number(error.details['status'])))
    return undefined
  throw error
}

function toWire(given: NewServer): object {
  const { name, flavorId, imageId, disks, portIds, keyName, userData, metadata } = given
  return {
    name,
    flavorRef: flavorId,
    ...(imageId !== undefined && { imageRef: imageId }),
    ...(disks && { block_device_mapping_v2: disks.map(toDisk) }),
    networks: portIds.map((port) => ({ port })),
    ...(keyName !== undefined && { key_name: keyName }),
    ...(userData !== undefined && { user_data: Buffer.from(userData).toString('base64') }),
    ...(given.availabilityZone !== undefined && { availability_zone: given.availabilityZone }),
    ...(given.configDrive !== undefined && { config_drive: given.configDrive }),
    metadata,
  }
}

function toDisk({ from, id, to, bootIndex, sizeGiB, type, bus, deleteOnTermination }: ServerDisk) {
  return {
    source_type: from,
    ...(id !== undefined && { uuid: id }),
    destination_type: to,
    boot_index: bootIndex ?? -1,
    ...(sizeGiB !== undefined && { volume_size: sizeGiB }),
    ...(type !== undefined && { device_type: type }),
    ...(bus !== undefined && { disk_bus: bus }),
    delete_on_termination: deleteOnTermination,
  }
}

function isSame(server: Server, { name, metadata }: NewServer): boolean {
  const entries = Object.entries(metadata)
  return server.name === name && entries.every(([key, value]) => server.metadata[key] === value)
}

function toServer(wire: Wire): Server {
  const fault = wire['fault'] === undefined ? undefined : asWire(wire['fault'], 'fault')
  const volumes = wire['os-extended-volumes:volumes_attached'] ?? []
  return {
    id: textOf(wire, 'id'),
    name: textOr(wire, 'name', ''),
    status: textOr(wire, 'status', 'UNKNOWN'),
    taskState: textOr(wire, 'OS-EXT-STS:task_state', null),
    fault: fault && toLine(textOr(fault, 'message', '')),
    addresses: addressesOf(wire['addresses'] ?? {}),
    metadata: textsOf(wire['metadata']),
    volumeIds: listOf(volumes, 'volumes').map((one) => textOf(one, 'id')),
  }
}

function addressesOf(networks: unknown): ServerAddress[] {
  return Object.entries(asWire(networks, 'addresses')).flatMap(([network, list]) =>
    listOf(list, 'addresses').map((one) => ({
      network,
      address: textOf(one, 'addr'),
      version: one['version'] === 6 ? 6 : 4,
      kind: one['OS-EXT-IPS:type'] === 'floating' ? 'floating' : 'fixed',
    })),
  )
}

function toFlavor(wire: Wire): Flavor {
  return {
    id: textOf(wire, 'id'),
    name: textOf(wire, 'name'),
    vcpus: numberOr(wire, 'vcpus', 0),
    ramMiB: numberOr(wire, 'ram', 0),
    diskGiB: numberOr(wire, 'disk', 0),
  }
}

/** Since 2.48 in lists of details; before, one number for each device: `vda_write`, `tap…_rx`. */
function toActivity(wire: Wire): ServerActivity {
  let [diskBytes, networkBytes] = [0, 0]
  const add = (name: string, value: unknown) => {
    if (typeof value !== 'number') return
    if (/^(read|write)_bytes$|_(read|write)$/.test(name)) diskBytes += value
    if (/^(rx|tx)_octets$|_(rx|tx)$/.test(name)) networkBytes += value
  }
  for (const [name, value] of Object.entries(wire)) {
    add(name, value)
    const isDetails = name === 'disk_details' || name === 'nic_details'
    for (const one of isDetails ? listOf(value, 'details') : [])
      for (const [inner, sum] of Object.entries(one)) add(inner, sum)
  }
  return { diskBytes, networkBytes }
}
