/** A server of a build, with what it needs around it. */
import { Failure } from '../../base/failure.ts'
import type { NewServer, ServerDisk } from '../../clouds/openstack/compute.ts'
import type { CloudImage } from '../../clouds/openstack/image.ts'
import type { Port } from '../../clouds/openstack/network.ts'
import type { Job } from '../os-builder.ts'
import type { Belonging } from './belongings.ts'
import type { Scene } from './scene.ts'
import { ServerConsole, waitForStatus } from './watch-server.ts'

/** What a server boots from. */
export type BootDisk =
  | { readonly from: 'image'; readonly image: Pick<CloudImage, 'id'> }
  /** A volume that was made of an image, or an empty one and an ISO beside it. */
  | { readonly from: 'volume'; readonly volumeId: string; readonly isoVolumeId?: string }

export interface BootOrder {
  /** `install`, `guest`: part of the names of all that is made. */
  readonly role: string
  readonly disk: BootDisk
  readonly keyName?: string | undefined
  readonly userData?: string | undefined
  /** Whether SSH must reach it. */
  readonly reachable: boolean
}

/** A server that runs. */
export interface Running {
  readonly id: string
  readonly console: ServerConsole
  /** Where it is reached; undefined: nobody has to. */
  readonly address: string | undefined
  /** Removes the server, and what was around it. */
  remove(): Promise<void>
}

/** Starts a server and waits until it runs. Fails as `waitForStatus`, and with CLOUD_FULL. */
export async function bootServer(
  scene: Scene,
  { role, disk, keyName, userData, reachable }: BootOrder,
  log: Job['log'],
  signal: AbortSignal,
): Promise<Running> {
  const { services, belongings, choice, options } = scene
  const { compute, network } = services
  const around: Belonging[] = []
  const groupId = reachable ? await groupOf(scene, role, around) : choice.securityGroupId
  const port = await belongings.make(
    'port',
    role,
    async (name, mark) =>
      await network.createPort({
        name,
        mark,
        networkId: choice.network.id,
        ...(groupId !== undefined && { securityGroupIds: [groupId] }),
      }),
  )
  around.push(port)
  const server = await belongings.make('server', role, async (name) => {
    const given: NewServer = {
      name,
      flavorId: choice.flavor.id,
      ...(disk.from === 'image' ? { imageId: disk.image.id } : { disks: disksOf(disk) }),
      portIds: [port.id],
      keyName,
      userData,
      availabilityZone: options.availability_zone,
      configDrive: options.config_drive,
      metadata: belongings.metadata,
    }
    return { id: await compute.createServer(given) }
  })
  log.event(`instance ${server.id} is being started`)
  const console = new ServerConsole(compute, server.id, log)
  await waitForStatus(services, server.id, 'ACTIVE', signal)
  const address = reachable ? await addressOf(scene, role, port, around) : undefined
  return {
    id: server.id,
    console,
    address,
    remove: async () => {
      await server.remove()
      for (const one of around.toReversed()) await one.remove()
    },
  }
}

function disksOf({ volumeId, isoVolumeId }: BootDisk & { from: 'volume' }): ServerDisk[] {
  const disk = { from: 'volume', id: volumeId, to: 'volume', bootIndex: 0 } as const
  const iso = { from: 'volume', to: 'volume', bootIndex: 1, type: 'cdrom', bus: 'sata' } as const
  return [
    { ...disk, deleteOnTermination: false },
    ...(isoVolumeId === undefined ? [] : [{ ...iso, id: isoVolumeId, deleteOnTermination: false }]),
  ]
}

async function groupOf(
  { services: { network }, belongings, choice, options }: Scene,
  role: string,
  around: Belonging[],
): Promise<string> {
  if (choice.securityGroupId !== undefined) return choice.securityGroupId
  const group = await belongings.make(
    'security-group',
    role,
    async (name, mark) => await network.createSecurityGroup(name, mark),
  )
  around.push(group)
  await network.allowTcp(group.id, options.ssh_port ?? 22)
  return group.id
}

/** A floating address if one is wanted, else the first one of its own; IPv4 before IPv6. */
async function addressOf(
  { services: { network }, belongings, choice }: Scene,
  role: string,
  port: Port,
  around: Belonging[],
): Promise<string> {
  const { floatingNetwork } = choice
  if (floatingNetwork !== undefined) {
    const floating = await belongings.make(
      'floating-ip',
      role,
      async (_name, mark) =>
        await network.createFloatingIp({ networkId: floatingNetwork.id, portId: port.id, mark }),
    )
    around.push(floating)
    return floating.address
  }
  const [address] = port.addresses.toSorted(byVersion)
  if (address !== undefined) return address
  throw new Failure('CLOUD_FAILED', `network ${choice.network.name} gave the instance no address`)
}

function byVersion(one: string, other: string): number {
  return Number(one.includes(':')) - Number(other.includes(':'))
}
