import type { OpenStackServices } from '../../clouds/openstack/openstack.ts'
import { MARK, NAME_PREFIX, type Thing, type ThingKind } from './thing.ts'

/**
 * Everything in a cloud (in our project) that bears the name and the mark of a build's things, whether or not a ledger
 * knows of it. Images that were built are none of these: their mark is taken away when they are done.
 */
export async function findCloudLeftovers(
  services: OpenStackServices,
  cloud: string | null,
): Promise<readonly Thing[]> {
  const { compute, network, image, volume } = services
  const hasVolumes = await services.has('block-storage')
  const owner = await services.projectId()
  const found: Thing[] = []
  const add = (kind: ThingKind, id: string, name: string, marked: string | undefined) => {
    const [, named] = NAMED.exec(name) ?? []
    const imageId = marked ?? named
    if (imageId !== undefined) found.push({ kind, cloud, imageId, name, id })
  }
  for (const { id, name, metadata } of await compute.listServers(NAME_PREFIX))
    add('server', id, name, metadata[MARK])
  for (const { id, address, description } of await network.listFloatingIps())
    if (description.startsWith(`${MARK}=`)) add('floating-ip', id, address, markIn(description))
  for (const { id, name, description } of await network.listPorts())
    if (description.startsWith(`${MARK}=`)) add('port', id, name, markIn(description))
  for (const { id, name, description } of await network.listSecurityGroups())
    if (description.startsWith(`${MARK}=`)) add('security-group', id, name, markIn(description))
  for (const name of await compute.listKeypairs()) add('keypair', name, name, undefined)
  for (const { id, name, metadata } of hasVolumes ? await volume.list() : [])
    if (MARK in metadata) add('volume', id, name, metadata[MARK])
  for (const { id, name, properties } of await image.list({ owner }))
    if (MARK in properties || NAMED.test(name ?? '')) add('image', id, name ?? '', properties[MARK])
  return found
}

/** `ingot-UUID-ATTEMPT-ROLE` */
const NAMED = new RegExp(`^${NAME_PREFIX}([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})-\\d+-`)

function markIn(description: string): string | undefined {
  return description.slice(MARK.length + 1) || undefined
}
