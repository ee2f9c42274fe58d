import { Failure } from '../../base/failure.ts'
import { MiB, SECTOR } from '../../base/units.ts'
import type { Facts } from '../../remotes/facts.ts'
import type { Json } from '../../tasks/task.ts'
import { defineCloudTarget, type Pushed, type PushJob } from '../cloud-target.ts'
import type { ClearContext, PhaseScene } from '../os-builder.ts'
import { clearEach, fieldsOf } from './_clear-each.ts'
import { cloudFit } from './_cloud-fit.ts'
import { OvirtEngine } from './_ovirt-engine.ts'
import {
  type OvirtCredentials,
  ovirtCredentialsSchema,
  type OvirtOptions,
  ovirtOptionsSchema,
  type OvirtProviderOptions,
  ovirtProviderSchema,
} from './_ovirt-schemas.ts'
import { transferDisk } from './_ovirt-transfer.ts'

type OvirtJob = PushJob<OvirtOptions, OvirtProviderOptions, OvirtCredentials>

/** A disk, sent by extents, and a template of a machine with it. */
export const ovirtTarget = defineCloudTarget<OvirtOptions, OvirtProviderOptions, OvirtCredentials>({
  name: 'ovirt',
  aliases: ['rhevm'],
  summary: 'oVirt: a template or a disk, sent by extents through the image daemon',
  options: ovirtOptionsSchema,
  provider: { options: ovirtProviderSchema, credentials: ovirtCredentialsSchema },
  fit: fitForOvirt,
  format: () => 'raw',
  push,
  remove: async ({ identifierOnProvider: id }, provider, { signal }) => {
    await using engine = await OvirtEngine.open(provider)
    const path = pathOf(id)
    if (path !== undefined) await engine.remove(path, signal)
  },
  clear: async (things, provider, context) => {
    await using engine = await OvirtEngine.open(provider)
    return await clearEach(things, context, (thing) => clearThing(engine, thing, context))
  },
})

/** Source: oVirt, "Virtual Machine Management Guide", templates of Linux machines: the guest agent tells addresses. */
function fitForOvirt(facts: Facts): string | undefined {
  const agent = ['qemu-guest-agent']
  return cloudFit(facts, {
    cloud: 'ovirt',
    datasources: ['ConfigDrive', 'NoCloud', 'None'],
    packages: { debian: agent, redhat: agent, suse: agent },
    drivers: ['virtio_blk', 'virtio_scsi', 'virtio_net', 'virtio_console'],
    kernelArguments: ['console=tty0', 'console=ttyS0,115200n8'],
  })
}

async function push(job: OvirtJob): Promise<Pushed> {
  const { provider, disk, image, options } = job
  await using engine = await OvirtEngine.open(provider)
  const name = options.ovirt_name ?? nameOf(job.template.name, image.id)
  const noted = await job.holdings.add({ kind: 'disks', name })
  const id = await job.phase({ name: 'sending the disk', from: 1, to: 90 }, async (scene) => {
    const made = await createDisk(engine, job, name, scene)
    await noted.update({ kind: 'disks', name, id: made })
    const sent = await transferDisk(engine, made, disk, provider.options, scene)
    job.log.event(`${sent} of ${disk.size} bytes were sent; the rest is zeros`)
    return made
  })
  const account = provider.credentials.username
  if (options.ovirt_result === 'disk')
    return { identifier: `disks/${id}`, account, properties: { ovirt_name: name } }
  return await job.phase({ name: 'making the template', from: 90, to: 100 }, async (scene) => {
    const template = await makeTemplate(engine, job, name, id, scene)
    await engine.remove(`/disks/${id}`, scene.signal)
    await noted.drop()
    job.log.event(`template ${name} (${template})`)
    return { identifier: `templates/${template}`, account, properties: { ovirt_name: name } }
  })
}

async function createDisk(
  engine: OvirtEngine,
  { disk, provider, options, image }: OvirtJob,
  name: string,
  { signal }: PhaseScene,
): Promise<string> {
  const sparse = options.ovirt_sparse ?? true
  if (disk.size % SECTOR !== 0)
    throw new Failure('VIEW_IMPOSSIBLE', `a disk of ${disk.size} bytes is not whole sectors`)
  const { id } = await engine.make('/disks', signal, {
    name,
    description: image.id,
    format: 'raw',
    sparse,
    provisioned_size: disk.size,
    storage_domains: { storage_domain: [{ name: provider.options.storage_domain }] },
  })
  await engine.until(`/disks/${id}`, signal, { field: 'status', wanted: 'ok', passing: ['locked'] })
  return id
}

/** A machine with the disk, a template of it, and the machine away again: oVirt makes templates of machines only. */
async function makeTemplate(
  engine: OvirtEngine,
  { provider, options, holdings, image }: OvirtJob,
  name: string,
  disk: string,
  { signal }: PhaseScene,
): Promise<string> {
  const { cluster = 'Default', network_profile } = provider.options
  const { ovirt_memory = 2048, ovirt_cpus = 1, ovirt_bios = 'q35_ovmf' } = options
  const machine = await holdings.add({ kind: 'vms', name })
  const vm = await engine.make('/vms', signal, {
    name,
    cluster: { name: cluster },
    template: { name: 'Blank' },
    memory: ovirt_memory * MiB,
    cpu: { topology: { sockets: ovirt_cpus, cores: 1, threads: 1 } },
    bios: { type: ovirt_bios },
    os: { type: 'other_linux' },
    description: image.id,
  })
  await machine.update({ kind: 'vms', name, id: vm.id })
  await engine.make(`/vms/${vm.id}/diskattachments`, signal, {
    disk: { id: disk },
    bootable: true,
    active: true,
    interface: 'virtio_scsi',
  })
  if (network_profile !== undefined)
    await engine.make(`/vms/${vm.id}/nics`, signal, {
      name: 'nic1',
      interface: 'virtio',
      vnic_profile: { id: network_profile },
    })
  const noted = await holdings.add({ kind: 'templates', name })
  const template = await engine.make('/templates', signal, {
    name,
    description: image.id,
    vm: { id: vm.id },
  })
  await noted.update({ kind: 'templates', name, id: template.id })
  await engine.until(`/templates/${template.id}`, signal, {
    field: 'status',
    wanted: 'ok',
    passing: ['locked'],
  })
  // The template has a copy of the disk; the disk goes by itself.
  await engine.remove(`/vms/${vm.id}?detach_only=true`, signal)
  await machine.drop()
  return template.id
}

/** By its id, or, if only its beginning was noted, by its name and whose it says to be. */
async function clearThing(
  engine: OvirtEngine,
  thing: Json,
  { imageId, signal }: Pick<ClearContext, 'imageId' | 'signal'>,
): Promise<void> {
  const { kind, name, id } = fieldsOf(thing)
  if (kind !== 'disks' && kind !== 'vms' && kind !== 'templates') return
  const detach = kind === 'vms' ? '?detach_only=true' : ''
  const found =
    typeof id === 'string'
      ? [{ id }]
      : await engine.named(kind, typeof name === 'string' ? name : '', imageId, signal)
  for (const one of found) await engine.remove(`/${kind}/${one.id}${detach}`, signal)
}

/** `templates/ID` as a path; undefined for what is none of ours. */
function pathOf(identifier: string | null): string | undefined {
  return /^(disks|templates)\/[A-Za-z0-9-]{1,64}$/.test(identifier ?? '')
    ? `/${identifier}`
    : undefined
}

function nameOf(template: string, imageId: string): string {
  return `${template.replaceAll(/[^A-Za-z0-9_.-]/g, '-').slice(0, 50)}-${imageId.slice(0, 8)}`
}
