/** A snapshot by way of a bucket: the disk as an object, which EC2's import service reads. */
import type { Context } from '../../base/context.ts'
import { Failure } from '../../base/failure.ts'
import { MiB } from '../../base/units.ts'
import { readInto } from '../../bytes/source.ts'
import { s3Driver } from '../../stores/drivers/s3.ts'
import type { DriverStore } from '../../stores/store.ts'
import type { FormattedDisk } from '../cloud-target.ts'
import type { PhaseScene } from '../os-builder.ts'
import { asking, type Ec2Clients, ec2Failure, type Ec2Provider, isGone } from './_ec2-clients.ts'
import { askUntil } from './_poll.ts'

const PART = 8 * MiB

/** Where objects of a provider stand. Fails with CONFIG_INVALID when it has no bucket. */
export async function openBucket(provider: Ec2Provider, context: Context): Promise<DriverStore> {
  const { region, bucket, prefix = 'ingot/', s3_endpoint: endpoint } = provider.options
  const { access_key, secret_key, session_token } = provider.credentials
  if (bucket === undefined)
    throw new Failure('CONFIG_INVALID', `${provider.name}: via s3 needs a bucket`)
  return await s3Driver.open(
    {
      region,
      bucket,
      prefix,
      access_key,
      secret_key,
      ...(session_token !== undefined && { session_token }),
      // Amazon's buckets are named in the host, others' in the path.
      ...(endpoint === undefined ? { path_style: false } : { endpoint }),
    },
    { ...context, dataDir: '.' }, // this driver keeps nothing here
  )
}

/** Sends the disk as one object, in parts. */
export async function sendObject(
  bucket: DriverStore,
  key: string,
  disk: FormattedDisk,
  { signal, tell }: PhaseScene,
): Promise<void> {
  await using writer = await bucket.create(key, disk.size)
  const buffer = Buffer.allocUnsafeSlow(Math.min(PART, disk.size))
  for (let at = 0; at < disk.size; at += PART) {
    if (signal.aborted) throw new Failure('INTERRUPTED', `sending ${key} was interrupted`)
    const bytes = buffer.subarray(0, Math.min(PART, disk.size - at))
    await readInto(disk, bytes, at)
    await writer.write(at, bytes)
    tell((at + bytes.length) / disk.size)
  }
  await writer.finish(disk.size)
}

export interface Import {
  readonly token: string
  readonly key: string
  readonly format: 'RAW' | 'VHD'
  readonly description: string
  /** Of the task, not of the snapshot. */
  readonly tags: readonly { readonly Key: string; readonly Value: string }[]
}

/** Begins the import of an object; the id of its task. */
export async function startImport(
  { ec2, ec2Library }: Ec2Clients,
  { options }: Ec2Provider,
  { token, key, format, description, tags }: Import,
  { signal }: Pick<Context, 'signal'>,
): Promise<string> {
  const { bucket, prefix = 'ingot/', role, kms_key } = options
  const { encrypted = kms_key === undefined ? undefined : true } = options
  const command = new ec2Library.ImportSnapshotCommand({
    ClientToken: token,
    Description: description,
    TagSpecifications: [{ ResourceType: 'import-snapshot-task', Tags: [...tags] }],
    DiskContainer: {
      Description: description,
      Format: format,
      UserBucket: { S3Bucket: bucket, S3Key: `${prefix}${key}` },
    },
    ...(role !== undefined && { RoleName: role }),
    ...(encrypted !== undefined && { Encrypted: encrypted }),
    ...(kms_key !== undefined && { KmsKeyId: kms_key }),
  })
  const answer = await asking('an import', ec2.send(command, { abortSignal: signal }))
  return answer.ImportTaskId ?? ''
}

/** Waits for an import; the id of its snapshot. Fails with CLOUD_FAILED and what Amazon says of it. */
export async function awaitImport(
  { ec2, ec2Library }: Ec2Clients,
  { options }: Ec2Provider,
  task: string,
  { signal, tell }: PhaseScene,
): Promise<string> {
  const command = new ec2Library.DescribeImportSnapshotTasksCommand({ ImportTaskIds: [task] })
  return await askUntil(options.poll_seconds ?? 5, signal, async () => {
    const answer = await asking(`import ${task}`, ec2.send(command, { abortSignal: signal }))
    const { Status, StatusMessage, Progress, SnapshotId } =
      answer.ImportSnapshotTasks?.[0]?.SnapshotTaskDetail ?? {}
    tell(Math.min(Number(Progress ?? 0) / 100, 1), `Amazon imports: ${StatusMessage ?? Status}`)
    if (Status === 'completed' && SnapshotId !== undefined) return SnapshotId
    if (Status === undefined || /^(delet|cancel|error)/.test(Status))
      throw new Failure('CLOUD_FAILED', `import ${task} is ${Status}: ${StatusMessage ?? ''}`)
    return undefined
  })
}

/** Ends an import that may be under way. That it has ended is success. */
export async function cancelImport({ ec2, ec2Library }: Ec2Clients, task: string): Promise<void> {
  try {
    await ec2.send(new ec2Library.CancelImportTaskCommand({ ImportTaskId: task }))
  } catch (error) {
    const isOver =
      error instanceof Error && /(IncorrectState|InvalidConversionTaskId)/.test(error.name)
    if (!isOver && !isGone(error)) throw ec2Failure(error, `import ${task}`)
  }
}
