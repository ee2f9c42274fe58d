/** AMIs: registered over a snapshot, shared, found by what they are tagged with, and removed with their snapshots. */
import type { Filter, Image, RegisterImageRequest } from '@aws-sdk/client-ec2'
import type { Context } from '../../base/context.ts'
import { Failure } from '../../base/failure.ts'
import type { PhaseScene } from '../os-builder.ts'
import { asking, type Ec2Clients, ec2Failure, type Ec2Provider, isGone } from './_ec2-clients.ts'
import type { Ec2Options } from './_ec2-schemas.ts'
import { askUntil } from './_poll.ts'

type Signal = Pick<Context, 'signal'>

/** By which everything is found that was made for an image. */
export const IMAGE_TAG = 'ingot:image'

/** Waits until a snapshot can be used; whose it is. Fails with CLOUD_FAILED. */
export async function awaitSnapshot(
  { ec2, ec2Library }: Ec2Clients,
  { options }: Ec2Provider,
  id: string,
  { signal, tell }: PhaseScene,
): Promise<{ account: string | undefined }> {
  const command = new ec2Library.DescribeSnapshotsCommand({ SnapshotIds: [id] })
  return await askUntil(options.poll_seconds ?? 5, signal, async () => {
    const answer = await asking(`snapshot ${id}`, ec2.send(command, { abortSignal: signal }))
    const { State, StateMessage, Progress, OwnerId } = answer.Snapshots?.[0] ?? {}
    tell(Math.min(Number.parseInt(Progress ?? '0', 10) / 100 || 0, 1))
    if (State === 'completed') return { account: OwnerId }
    if (State !== 'pending')
      throw new Failure('CLOUD_FAILED', `snapshot ${id} is ${State}: ${StateMessage ?? ''}`)
    return undefined
  })
}

export interface NewImage {
  readonly name: string
  readonly architecture: NonNullable<Ec2Options['ec2_architecture']>
  readonly snapshot: string
  readonly options: Ec2Options
  readonly tags: readonly { readonly Key: string; readonly Value: string }[]
}

/** Registers the AMI; its id. */
export async function registerImage(
  clients: Ec2Clients,
  image: NewImage,
  imageId: string,
  { signal }: Signal,
): Promise<string> {
  const { ec2, ec2Library } = clients
  const command = new ec2Library.RegisterImageCommand(registration(image))
  try {
    return (await ec2.send(command, { abortSignal: signal })).ImageId ?? ''
  } catch (error) {
    // The library asks again when an answer is lost; then the name is taken by the AMI of the question before.
    const isTaken = error instanceof Error && error.name === 'InvalidAMIName.Duplicate'
    const ours = isTaken ? await findImage(clients, imageId) : undefined
    if (ours !== undefined) return ours
    throw ec2Failure(error, `AMI ${image.name}`)
  }
}

/** Source: Amazon EC2, "Requirements for UEFI boot mode": Graviton knows nothing else, and 32 bits know nothing of it. */
const BOOT_MODES = { x86_64: 'uefi-preferred', arm64: 'uefi', i386: 'legacy-bios' } as const

function registration({
  name,
  architecture,
  snapshot,
  options,
  tags,
}: NewImage): RegisterImageRequest {
  const { ec2_description, ec2_root_device = '/dev/xvda', ec2_volume_size } = options
  const { ec2_boot_mode = BOOT_MODES[architecture] } = options
  return {
    Name: name,
    Architecture: architecture,
    VirtualizationType: 'hvm',
    BootMode: ec2_boot_mode,
    EnaSupport: options.ec2_ena ?? true,
    RootDeviceName: ec2_root_device,
    BlockDeviceMappings: [
      {
        DeviceName: ec2_root_device,
        Ebs: {
          SnapshotId: snapshot,
          DeleteOnTermination: true,
          VolumeType: options.ec2_volume_type ?? 'gp3',
          ...(ec2_volume_size !== undefined && { VolumeSize: ec2_volume_size }),
        },
      },
    ],
    ...(options.ec2_imds !== 'any' && { ImdsSupport: 'v2.0' }),
    ...(ec2_description !== undefined && { Description: ec2_description }),
    TagSpecifications: [{ ResourceType: 'image', Tags: [...tags] }],
  }
}

/** Tags a snapshot that Amazon made. */
export async function tagSnapshot(
  { ec2, ec2Library }: Ec2Clients,
  id: string,
  tags: NewImage['tags'],
  { signal }: Signal,
): Promise<void> {
  const command = new ec2Library.CreateTagsCommand({ Resources: [id], Tags: [...tags] })
  await asking(`tags of ${id}`, ec2.send(command, { abortSignal: signal }))
}

/** Lets others start it, if that is wanted. */
export async function shareImage(
  { ec2, ec2Library }: Ec2Clients,
  ImageId: string,
  { ec2_public = false, ec2_launch_accounts = [] }: Ec2Options,
  { signal }: Signal,
): Promise<void> {
  const Add = [
    ...(ec2_public ? [{ Group: 'all' as const }] : []),
    ...ec2_launch_accounts.map((UserId) => ({ UserId })),
  ]
  if (Add.length === 0) return
  const command = new ec2Library.ModifyImageAttributeCommand({
    ImageId,
    LaunchPermission: { Add },
  })
  await asking(`who may start ${ImageId}`, ec2.send(command, { abortSignal: signal }))
}

/** Deregisters an AMI and deletes the snapshots it stands on. That it is gone is success. */
export async function removeImage(clients: Ec2Clients, id: string): Promise<void> {
  const { ec2, ec2Library } = clients
  const image = await describe(clients, { ImageIds: [id] })
  if (image === undefined) return
  await unlessGone(`AMI ${id}`, ec2.send(new ec2Library.DeregisterImageCommand({ ImageId: id })))
  for (const { Ebs } of image.BlockDeviceMappings ?? [])
    if (Ebs?.SnapshotId !== undefined) await removeSnapshot(clients, Ebs.SnapshotId)
}

export async function removeSnapshot({ ec2, ec2Library }: Ec2Clients, id: string): Promise<void> {
  const command = new ec2Library.DeleteSnapshotCommand({ SnapshotId: id })
  await unlessGone(`snapshot ${id}`, ec2.send(command))
}

/** The id of the AMI that was registered for an image of ours. */
export async function findImage(clients: Ec2Clients, imageId: string): Promise<string | undefined> {
  const image = await describe(clients, { Owners: ['self'], Filters: [tagged(imageId)] })
  return image?.ImageId
}

/** Ids of the snapshots that were begun for it. */
export async function findSnapshots(
  { ec2, ec2Library }: Ec2Clients,
  imageId: string,
): Promise<string[]> {
  const wanted = { OwnerIds: ['self'], Filters: [tagged(imageId)] }
  const pages = ec2Library.paginateDescribeSnapshots({ client: ec2 }, wanted)
  const found = await asking('snapshots', Array.fromAsync(pages))
  return found
    .flatMap(({ Snapshots = [] }) => Snapshots)
    .flatMap(({ SnapshotId }) => SnapshotId ?? [])
}

/**
 * Imports that were begun for it, and the snapshots they have made; Amazon tells of those of the last seven days. Which filters
 * this question knows is not written anywhere, so their tags are looked at here.
 */
export async function findImports(
  { ec2, ec2Library }: Ec2Clients,
  imageId: string,
): Promise<{ task: string; snapshot: string | undefined }[]> {
  const pages = ec2Library.paginateDescribeImportSnapshotTasks({ client: ec2 }, {})
  const found = await asking('imports', Array.fromAsync(pages))
  return found
    .flatMap(({ ImportSnapshotTasks = [] }) => ImportSnapshotTasks)
    .filter(({ Tags = [] }) =>
      Tags.some(({ Key, Value }) => Key === IMAGE_TAG && Value === imageId),
    )
    .flatMap(({ ImportTaskId, SnapshotTaskDetail }) =>
      ImportTaskId === undefined
        ? []
        : [{ task: ImportTaskId, snapshot: SnapshotTaskDetail?.SnapshotId }],
    )
}

function tagged(imageId: string): Filter {
  return { Name: `tag:${IMAGE_TAG}`, Values: [imageId] }
}

async function describe(
  { ec2, ec2Library }: Ec2Clients,
  which: { ImageIds: string[] } | { Owners: string[]; Filters: Filter[] },
): Promise<Image | undefined> {
  const pages = ec2Library.paginateDescribeImages({ client: ec2 }, which)
  const found = await unlessGone('AMI', Array.fromAsync(pages))
  return found?.flatMap(({ Images = [] }) => Images)[0]
}

async function unlessGone<Answer>(
  what: string,
  work: Promise<Answer>,
): Promise<Answer | undefined> {
  try {
    return await work
  } catch (error) {
    if (isGone(error)) return undefined
    throw ec2Failure(error, what)
  }
}
