/** What each action of EC2 takes, demands and answers. Parameters that none has read are refused by who calls. */
import { GiB, KiB } from '../base/units.ts'
import type { FakeSnapshot } from './_fake-ebs.ts'
import type { Ec2Trouble } from './fake-ec2.ts'
import type { FakeS3 } from './fake-s3.ts'

export interface FakeImage {
  readonly id: string
  /** All that was said when it was registered, by the names of the parameters. */
  readonly registered: ReadonlyMap<string, string>
  readonly snapshot: string
  readonly tags: ReadonlyMap<string, string>
  /** `all`, or account ids. */
  readonly launchers: string[]
}

interface FakeImport {
  readonly id: string
  readonly tags: ReadonlyMap<string, string>
  readonly snapshot: string | undefined
  status: string
  /** How often somebody has looked. */
  looks: number
}

export interface Asked {
  readonly account: string
  readonly images: Map<string, FakeImage>
  readonly snapshots: Map<string, FakeSnapshot>
  readonly imports: Map<string, FakeImport>
  readonly s3: FakeS3 | undefined
  readonly trouble: Ec2Trouble
  /** What is taken is deleted. */
  readonly form: Map<string, string>
}
export type Answer = string

export class Ec2Refusal extends Error {
  readonly status: number
  constructor(status: number, name: string, message = name) {
    super(message)
    this.status = status
    this.name = name
  }
}

const BLOCK = 512 * KiB

/** A question by filters is answered in pages, of which the first may be empty, as Amazon says that it may be. */
const NEXT = '<nextToken>page-2</nextToken>'

/** Whether this is the first page of several. */
function isFirstPage(form: Map<string, string>): boolean {
  if (!form.has('NextToken')) return true
  if (take(form, 'NextToken') !== 'page-2') throw new Ec2Refusal(400, 'InvalidNextToken')
  return false
}

export const EC2_ACTIONS: Readonly<Record<string, (asked: Asked) => Answer>> = {
  RegisterImage: ({ form, images, snapshots }) => {
    const tags = tagsOf(form, 'image')
    const registered = new Map(form)
    form.clear()
    const need = (name: string) => demand(registered, name)
    const name = need('Name')
    if (!/^[A-Za-z0-9()[\] ./'@_-]{3,128}$/.test(name))
      throw new Ec2Refusal(400, 'InvalidAMIName.Malformed')
    if ([...images.values()].some((one) => one.registered.get('Name') === name))
      throw new Ec2Refusal(400, 'InvalidAMIName.Duplicate')
    const snapshot = need('BlockDeviceMapping.1.Ebs.SnapshotId')
    if (snapshots.get(snapshot)?.state !== 'completed')
      throw new Ec2Refusal(400, 'InvalidSnapshot.NotFound')
    if (need('RootDeviceName') !== need('BlockDeviceMapping.1.DeviceName'))
      throw new Ec2Refusal(400, 'InvalidBlockDeviceMapping')
    if (
      !['x86_64', 'arm64', 'i386'].includes(need('Architecture')) ||
      need('VirtualizationType') !== 'hvm'
    )
      throw new Ec2Refusal(400, 'InvalidParameterValue')
    if (need('Architecture') === 'i386' && need('BootMode') !== 'legacy-bios')
      throw new Ec2Refusal(400, 'UnsupportedOperation', 'BootMode')
    const id = `ami-${String(images.size + 1).padStart(17, '0')}`
    images.set(id, { id, registered, snapshot, tags, launchers: [] })
    return `<imageId>${id}</imageId>`
  },
  DescribeImages: ({ form, images }) => {
    const ids = listOf(form, 'ImageId')
    const owners = listOf(form, 'Owner')
    const isFirst = isFirstPage(form)
    const wanted = filterOf(form)
    if (ids.length === 0 && isFirst) return `<imagesSet/>${NEXT}`
    if (owners.some((owner) => owner !== 'self'))
      throw new Ec2Refusal(400, 'InvalidUserID.Malformed')
    for (const id of ids) if (!images.has(id)) throw new Ec2Refusal(400, 'InvalidAMIID.NotFound')
    const found = [...images.values()].filter(
      ({ id, tags }) => (ids.length === 0 || ids.includes(id)) && wanted(tags),
    )
    const items = found.map(
      ({ id, snapshot }) =>
        `<item><imageId>${id}</imageId><blockDeviceMapping><item><ebs><snapshotId>${snapshot}</snapshotId></ebs></item></blockDeviceMapping></item>`,
    )
    return `<imagesSet>${items.join('')}</imagesSet>`
  },
  DeregisterImage: ({ form, images }) => {
    if (!images.delete(take(form, 'ImageId'))) throw new Ec2Refusal(400, 'InvalidAMIID.Unavailable')
    return '<return>true</return>'
  },
  ModifyImageAttribute: ({ form, images }) => {
    const image = images.get(take(form, 'ImageId'))
    if (image === undefined) throw new Ec2Refusal(400, 'InvalidAMIID.NotFound')
    for (const [key, value] of Array.from(form))
      if (/^LaunchPermission\.Add\.\d+\.(UserId|Group)$/.test(key)) {
        image.launchers.push(value)
        form.delete(key)
      }
    return '<return>true</return>'
  },
  DescribeSnapshots: ({ form, snapshots, account }) => {
    const ids = listOf(form, 'SnapshotId')
    listOf(form, 'Owner')
    const isFirst = isFirstPage(form)
    const wanted = filterOf(form)
    if (ids.length === 0 && isFirst) return `<snapshotSet/>${NEXT}`
    for (const id of ids)
      if (!snapshots.has(id)) throw new Ec2Refusal(400, 'InvalidSnapshot.NotFound')
    const found = [...snapshots.values()].filter(
      ({ id, tags }) => (ids.length === 0 || ids.includes(id)) && wanted(tags),
    )
    const items = found.map(
      ({ id, state }) =>
        `<item><snapshotId>${id}</snapshotId><status>${state}</status><progress>100%</progress><ownerId>${account}</ownerId></item>`,
    )
    return `<snapshotSet>${items.join('')}</snapshotSet>`
  },
  DeleteSnapshot: ({ form, snapshots, images }) => {
    const id = take(form, 'SnapshotId')
    if ([...images.values()].some(({ snapshot }) => snapshot === id))
      throw new Ec2Refusal(400, 'InvalidSnapshot.InUse')
    if (!snapshots.delete(id)) throw new Ec2Refusal(400, 'InvalidSnapshot.NotFound')
    return '<return>true</return>'
  },
  CreateTags: ({ form, snapshots }) => {
    const tags = pairsOf(form, /^Tag\.\d+\./)
    for (const id of listOf(form, 'ResourceId')) {
      const snapshot = snapshots.get(id)
      if (snapshot === undefined) throw new Ec2Refusal(400, 'InvalidID')
      for (const [key, value] of tags) snapshot.tags.set(key, value)
    }
    return '<return>true</return>'
  },
  ImportSnapshot: (asked) => {
    const { form, imports, snapshots, s3, trouble } = asked
    const tags = tagsOf(form, 'import-snapshot-task')
    take(form, 'ClientToken')
    form.delete('Description')
    form.delete('DiskContainer.Description')
    const format = take(form, 'DiskContainer.Format')
    if (!['RAW', 'VHD'].includes(format)) throw new Ec2Refusal(400, 'InvalidParameter')
    const bucket = take(form, 'DiskContainer.UserBucket.S3Bucket')
    const bytes = s3?.content(bucket, take(form, 'DiskContainer.UserBucket.S3Key'))
    if (bytes === undefined) throw new Ec2Refusal(400, 'InvalidParameter', 'no such object')
    const id = `import-snap-${String(imports.size + 1).padStart(17, '0')}`
    const snapshot = trouble.badImport ? undefined : newSnapshot(snapshots, format, bytes)
    imports.set(id, { id, tags, snapshot, status: 'active', looks: 0 })
    return `<importTaskId>${id}</importTaskId>`
  },
  DescribeImportSnapshotTasks: ({ form, imports }) => {
    const ids = listOf(form, 'ImportTaskId')
    if (ids.length === 0 && isFirstPage(form)) return `<importSnapshotTaskSet/>${NEXT}`
    const found = [...imports.values()].filter(({ id }) => ids.length === 0 || ids.includes(id))
    for (const task of found)
      if (task.looks++ > 0 && task.status === 'active')
        task.status = task.snapshot === undefined ? 'deleted' : 'completed'
    const items = found.map(({ id, status, snapshot, tags }) => {
      const made =
        status === 'completed' ? `<snapshotId>${snapshot}</snapshotId>` : '<progress>40</progress>'
      return `<item><importTaskId>${id}</importTaskId><snapshotTaskDetail>${made}<status>${status}</status><statusMessage>ClientError: it is not a disk</statusMessage></snapshotTaskDetail>${tagSet(tags)}</item>`
    })
    return `<importSnapshotTaskSet>${items.join('')}</importSnapshotTaskSet>`
  },
  CancelImportTask: ({ form, imports }) => {
    const task = imports.get(take(form, 'ImportTaskId'))
    if (task === undefined) throw new Ec2Refusal(400, 'InvalidConversionTaskId.Malformed')
    if (task.status !== 'active') throw new Ec2Refusal(400, 'IncorrectState')
    task.status = 'deleted'
    return '<return>true</return>'
  },
}

/** A snapshot with the raw bytes, or those of the object, whose format is for others to judge. */
function newSnapshot(snapshots: Map<string, FakeSnapshot>, format: string, bytes: Buffer): string {
  const id = `snap-import${String(snapshots.size + 1).padStart(11, '0')}`
  const blocks = new Map<number, Buffer>()
  for (let at = 0; at < bytes.length; at += BLOCK)
    blocks.set(at / BLOCK, bytes.subarray(at, at + BLOCK))
  const size = Math.ceil(bytes.length / GiB)
  snapshots.set(id, { id, size, token: format, tags: new Map(), state: 'completed', blocks })
  return id
}

function demand(form: ReadonlyMap<string, string>, name: string): string {
  const value = form.get(name)
  if (value === undefined || value === '') throw new Ec2Refusal(400, 'MissingParameter', name)
  return value
}

function take(form: Map<string, string>, name: string): string {
  const value = demand(form, name)
  form.delete(name)
  return value
}

function listOf(form: Map<string, string>, name: string): string[] {
  const keys = [...form.keys()].filter((key) => new RegExp(`^${name}\\.\\d+$`).test(key))
  return keys.map((key) => take(form, key))
}

function pairsOf(form: Map<string, string>, prefix: RegExp): Map<string, string> {
  const keys = [...form.keys()].filter((key) => prefix.test(key) && key.endsWith('.Key'))
  return new Map(
    keys.map((key) => [take(form, key), take(form, key.replace(/Key$/, 'Value'))] as const),
  )
}

function tagsOf(form: Map<string, string>, resource: string): Map<string, string> {
  if (!form.has('TagSpecification.1.ResourceType')) return new Map()
  if (take(form, 'TagSpecification.1.ResourceType') !== resource)
    throw new Ec2Refusal(400, 'InvalidParameterValue', 'TagSpecification')
  return pairsOf(form, /^TagSpecification\.1\.Tag\.\d+\./)
}

function tagSet(tags: ReadonlyMap<string, string>): string {
  const items = Array.from(
    tags,
    ([key, value]) => `<item><key>${key}</key><value>${value}</value></item>`,
  )
  return `<tagSet>${items.join('')}</tagSet>`
}

/** `tag:KEY` with one value. */
function filterOf(form: Map<string, string>): (tags: ReadonlyMap<string, string>) => boolean {
  if (!form.has('Filter.1.Name')) return () => true
  const key = take(form, 'Filter.1.Name').replace(/^tag:/, '')
  const value = take(form, 'Filter.1.Value.1')
  return (tags) => tags.get(key) === value
}
