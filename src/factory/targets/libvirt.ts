import { Failure, isFailure } from '../../base/failure.ts'
import { MiB } from '../../base/units.ts'
import { readInto } from '../../bytes/source.ts'
import type { Facts } from '../../remotes/facts.ts'
import { Type } from '../../schema/type.ts'
import {
  defineCloudTarget,
  type FormattedDisk,
  type Provider,
  type Pushed,
  type PushJob,
} from '../cloud-target.ts'
import type { PhaseScene } from '../os-builder.ts'
import { clearEach, fieldsOf } from './_clear-each.ts'
import { cloudFit } from './_cloud-fit.ts'
import { domainXml } from './_libvirt-domain.ts'
import { extentsOf, lengthOfParts, type Part } from './_disk-parts.ts'
import {
  type LibvirtOptions,
  libvirtOptionsSchema,
  type LibvirtProviderOptions,
  libvirtProviderSchema,
} from './_libvirt-schemas.ts'
import { openVirsh, type Virsh } from './_virsh.ts'

type LibvirtProvider = Provider<LibvirtProviderOptions>
type LibvirtJob = PushJob<LibvirtOptions, LibvirtProviderOptions>

/** Each part that is sent costs a process; holes that are smaller than this are sent. */
const WORTH_LEAVING_OUT = 8 * MiB
const CHUNK = MiB

/** A volume in a storage pool of this host's libvirt, and perhaps a machine with it. */
export const libvirtTarget = defineCloudTarget<LibvirtOptions, LibvirtProviderOptions, unknown>({
  name: 'libvirt',
  summary: 'a local libvirt: a volume of a storage pool, and perhaps a machine',
  options: libvirtOptionsSchema,
  provider: {
    options: libvirtProviderSchema,
    credentials: Type.Object({}, { additionalProperties: false }),
  },
  concurrency: 2,
  fit: fitForLibvirt,
  format: ({ libvirt_format = 'qcow2' }) => libvirt_format,
  push,
  remove: async ({ id, identifierOnProvider: identifier, properties }, provider, { signal }) => {
    const virsh = virshOf(provider, signal)
    if (properties['libvirt_domain'] !== undefined) await removeDomain(virsh, id)
    const [pool, name] = identifier?.split('/') ?? []
    if (pool !== undefined && name !== undefined) await removeVolume(virsh, pool, name)
  },
  clear: async (things, provider, context) => {
    const virsh = virshOf(provider, context.signal)
    return await clearEach(things, context, async (thing) => {
      const { kind, pool, name } = fieldsOf(thing)
      // By the id that it was given: of this name there may be another one.
      if (kind === 'domain') await removeDomain(virsh, context.imageId)
      if (kind === 'volume' && typeof pool === 'string' && typeof name === 'string')
        await removeVolume(virsh, pool, name)
    })
  },
})

function fitForLibvirt(facts: Facts): string | undefined {
  return cloudFit(facts, {
    cloud: 'libvirt',
    packages: {
      debian: ['qemu-guest-agent'],
      redhat: ['qemu-guest-agent'],
      suse: ['qemu-guest-agent'],
    },
    drivers: ['virtio_blk', 'virtio_net', 'virtio_pci', 'virtio_scsi'],
    kernelArguments: ['console=tty0', 'console=ttyS0,115200n8'],
  })
}

/** Fails with CONFIG_INVALID: whose daemon it is, the host's owner says. */
function virshOf({ name, options, isConfigured }: LibvirtProvider, signal: AbortSignal): Virsh {
  if (isConfigured !== true)
    throw new Failure(
      'CONFIG_INVALID',
      `${name}: only a provider of the configuration may be a daemon of this host`,
    )
  return openVirsh(options.uri ?? 'qemu:///system', signal)
}

async function push(job: LibvirtJob): Promise<Pushed> {
  const { options, provider, disk, image, template } = job
  const pool = provider.options.pool ?? 'default'
  const format = options.libvirt_format ?? 'qcow2'
  const ending = format === 'raw' ? 'img' : 'qcow2'
  const name = options.libvirt_volume ?? `${plain(template.name)}-${image.id.slice(0, 8)}.${ending}`
  const isSparse = await job.phase(
    { name: 'making the volume', from: 0, to: 5 },
    async ({ signal }) => {
      const virsh = virshOf(provider, signal)
      const poolXml = await virsh.run(['pool-dumpxml', pool])
      await demandNew(virsh, ['vol-info', '--pool', pool, name], `volume ${pool}/${name}`)
      const { size } = await disk.open(format)
      const noted = await job.holdings.add({ kind: 'volume', pool, name })
      const shape = ['--format', 'raw', '--allocation', '0']
      try {
        await virsh.run(['vol-create-as', pool, name, `${size}B`, ...shape])
      } catch (error) {
        // Made by somebody else since it was looked for: it must not be cleared.
        if (error instanceof Error && /exists already/.test(error.message)) await noted.drop()
        throw error
      }
      return /<pool type='(dir|fs|netfs)'/.test(poolXml)
    },
  )
  await job.phase({ name: 'sending the volume', from: 5, to: 90 }, async (scene) => {
    const virsh = virshOf(provider, scene.signal)
    const formatted = await disk.open(format)
    const sent = await sendVolume(virsh, { pool, name, isSparse }, formatted, scene)
    // Until the pool is looked at again, libvirt takes the volume for what it was made as.
    if (format !== 'raw') await virsh.run(['pool-refresh', pool])
    job.log.event(`${sent} bytes were sent to volume ${pool}/${name}`)
  })
  const domain =
    options.libvirt_define === true ? await defineDomain(job, { pool, name }) : undefined
  return {
    identifier: `${pool}/${name}`,
    properties: {
      libvirt_pool: pool,
      libvirt_volume: name,
      ...(domain !== undefined && { libvirt_domain: domain }),
    },
  }
}

function plain(name: string): string {
  return (
    name
      .replaceAll(/[^A-Za-z0-9.-]+/g, '-')
      .replace(/^[.-]+/, '')
      .slice(0, 100) || 'image'
  )
}

/** Fails with CLOUD_FAILED when `words` find something. */
async function demandNew(virsh: Virsh, words: readonly string[], what: string): Promise<void> {
  try {
    await virsh.run(words)
  } catch (error) {
    if (isFailure(error, 'CLOUD_NOT_FOUND')) return
    throw error
  }
  throw new Failure('CLOUD_FAILED', `${what} is there already`, {
    fix: 'Choose another name, or remove it.',
  })
}

/** A new file holds zeros by itself; a block device may hold what was there before. Gives the bytes that were sent. */
async function sendVolume(
  virsh: Virsh,
  {
    pool,
    name,
    isSparse,
  }: { readonly pool: string; readonly name: string; readonly isSparse: boolean },
  disk: FormattedDisk,
  { signal, tell }: PhaseScene,
): Promise<number> {
  const parts = isSparse ? [...joined(extentsOf(disk))] : [{ start: 0, end: disk.size }]
  const total = lengthOfParts(parts)
  let sent = 0
  for (const { start, end } of parts) {
    const range = ['--offset', String(start), '--length', String(end - start)]
    const content = readRange(disk, { start, end }, signal, (length) => {
      sent += length
      tell(sent / total)
    })
    await virsh.feed(['vol-upload', '--pool', pool, name, '/dev/stdin', ...range], content)
  }
  return total
}

function* joined(parts: Iterable<Part>): Generator<Part> {
  let run: Part | undefined
  for (const part of parts) {
    if (run !== undefined && part.start - run.end < WORTH_LEAVING_OUT) {
      run = { start: run.start, end: part.end }
      continue
    }
    if (run) yield run
    run = part
  }
  if (run) yield run
}

async function* readRange(
  disk: FormattedDisk,
  { start, end }: Part,
  signal: AbortSignal,
  tell: (length: number) => void,
): AsyncGenerator<Uint8Array> {
  for (let at = start; at < end;) {
    if (signal.aborted) throw new Failure('INTERRUPTED', 'sending a volume was interrupted')
    const chunk = Buffer.allocUnsafeSlow(Math.min(CHUNK, end - at))
    await readInto(disk, chunk, at)
    yield chunk
    at += chunk.length
    tell(chunk.length)
  }
}

async function defineDomain(
  job: LibvirtJob,
  volume: { readonly pool: string; readonly name: string },
): Promise<string> {
  const name = job.options.libvirt_name ?? volume.name.replace(/\.[^.]*$/, '')
  return await job.phase(
    { name: 'defining the machine', from: 90, to: 100 },
    async ({ signal }) => {
      const virsh = virshOf(job.provider, signal)
      await demandNew(virsh, ['dominfo', name], `machine ${name}`)
      await job.holdings.add({ kind: 'domain', name })
      await virsh.run(['define', '/dev/stdin'], domainXml(job.options, job.image.id, name, volume))
      job.log.event(`machine ${name} is defined`)
      return name
    },
  )
}

/** That it is gone is success; one that runs is not taken away from who uses it. */
async function removeDomain(virsh: Virsh, uuid: string): Promise<void> {
  try {
    const state = (await virsh.run(['domstate', uuid])).trim()
    if (state !== 'shut off' && state !== 'crashed')
      throw new Failure('CLOUD_FAILED', `machine ${uuid} is ${state}`, {
        fix: 'Shut it down first.',
      })
    await virsh.run(['undefine', uuid, '--nvram'])
  } catch (error) {
    if (!isFailure(error, 'CLOUD_NOT_FOUND')) throw error
  }
}

async function removeVolume(virsh: Virsh, pool: string, name: string): Promise<void> {
  try {
    await virsh.run(['vol-delete', '--pool', pool, name])
  } catch (error) {
    if (!isFailure(error, 'CLOUD_NOT_FOUND')) throw error
  }
}
