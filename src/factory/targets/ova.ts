import { createHash } from 'node:crypto'
import { type OvfHardware, ovfDescriptor } from '../../formats/ovf-machine.ts'
import type { Facts } from '../../remotes/facts.ts'
import {
  type Artifact,
  defineCloudTarget,
  type FormattedDisk,
  type PushJob,
} from '../cloud-target.ts'
import { streamFormatted } from '../stream-formatted.ts'
import { cloudFit } from './_cloud-fit.ts'
import { formOf, type OvaOptions, ovaOptionsSchema } from './_ova-schemas.ts'
import { packedStream } from './_packed-stream.ts'
import { tarBytes, tarDisk, tarLength, tarStream } from './_tar-stream.ts'
import { boxFiles, BOXES, isBox, vagrantSteps } from './_vagrant-box.ts'

type OvaJob = Omit<PushJob<OvaOptions>, 'provider'>

/** A machine as one file, for programs that import it: nobody takes one over a network. */
export const ovaTarget = defineCloudTarget<OvaOptions, unknown, unknown>({
  name: 'ova',
  aliases: ['OVA', 'vagrant'],
  summary: 'one file to import: an OVA for VMware or VirtualBox, a box for Vagrant',
  options: ovaOptionsSchema,
  format: (options) => {
    const form = formOf(options)
    return isBox(form) ? BOXES[form].format : 'vmdk-stream'
  },
  fit: fitForMachines,
  openArtifact,
})

function fitForMachines(facts: Facts, options: OvaOptions): string | undefined {
  const form = formOf(options)
  return cloudFit(facts, {
    cloud: 'ova',
    ...(isBox(form) && {
      packages: {
        debian: ['openssh-server', 'sudo', 'rsync'],
        redhat: ['openssh-server', 'sudo', 'rsync'],
        suse: ['openssh', 'sudo', 'rsync'],
      },
    }),
    drivers: DRIVERS[form] ?? ['mptspi', 'vmw_pvscsi', 'vmxnet3', 'ahci', 'e1000'],
    kernelArguments: ['console=tty0', 'console=ttyS0,115200n8'],
    more: vagrantSteps(options),
  })
}

const DRIVERS: Readonly<Partial<Record<string, readonly string[]>>> = {
  'vagrant-libvirt': ['virtio_blk', 'virtio_net', 'virtio_pci'],
  'vagrant-hyperv': ['hv_vmbus', 'hv_storvsc', 'hv_netvsc'],
}

/** Names in a tar have 100 characters at most, with their endings. */
const MOST_NAME = 80

async function openArtifact(job: OvaJob): Promise<Artifact> {
  const { options, template, disk } = job
  const form = formOf(options)
  const wanted = (options.ovf_name ?? template.name).replaceAll(/[^A-Za-z0-9._-]+/g, '-')
  const name = wanted.slice(0, MOST_NAME) || 'image'
  if (!isBox(form)) return await openOva(job, form, name)
  const formatted = await disk.open(BOXES[form].format)
  const ovf = await describe(job, 'virtualbox', formatted, BOXES[form].disk)
  const files = boxFiles(job, form, formatted, ovf)
  return {
    fileName: `${name}.${BOXES[form].provider}.box`,
    mediaType: 'application/gzip',
    size: undefined,
    stream: (signal) => packedStream(tarStream(files, signal), 'gzip', signal),
  }
}

/**
 * The descriptor first, then the manifest; so the disk is read once before anything is told.
 * Source: DMTF, DSP0243, 6.4.
 */
async function openOva(
  job: OvaJob,
  profile: 'vmware' | 'virtualbox',
  name: string,
): Promise<Artifact> {
  const formatted = await job.disk.open('vmdk-stream')
  const diskName = `${name}-disk1.vmdk`
  const descriptor = await describe(job, profile, formatted, diskName)
  const hash = createHash('sha256')
  for await (const chunk of streamFormatted(formatted, job.context.signal)) hash.update(chunk)
  const ownDigest = createHash('sha256').update(descriptor).digest('hex')
  const manifest = `SHA256(${name}.ovf)= ${ownDigest}\nSHA256(${diskName})= ${hash.digest('hex')}\n`
  const files = [
    tarBytes(`${name}.ovf`, descriptor),
    tarBytes(`${name}.mf`, manifest),
    tarDisk(diskName, formatted),
  ]
  return {
    fileName: `${name}.ova`,
    mediaType: 'application/ovf',
    size: tarLength(files),
    stream: (signal) => tarStream(files, signal),
  }
}

async function describe(
  { options, disk }: OvaJob,
  profile: 'vmware' | 'virtualbox',
  formatted: FormattedDisk,
  name: string,
): Promise<string> {
  let populatedSize = 0
  for (const { length } of disk.map.extents()) populatedSize += length
  return ovfDescriptor({
    profile,
    identity: await disk.digest(),
    disk: { name, fileSize: formatted.size, size: disk.size, populatedSize },
    hardware: hardwareOf(options, profile),
  })
}

function hardwareOf(options: OvaOptions, profile: 'vmware' | 'virtualbox'): OvfHardware {
  const usual = {
    name: options.ovf_name,
    processors: options.ovf_cpu_count,
    memoryMiB: options.ovf_memory_mb,
    network: options.ova_network,
    product: {
      name: options.vsphere_product_name,
      vendor: options.vsphere_product_vendor_name,
      version: options.vsphere_product_version,
    },
  }
  if (profile === 'virtualbox') return usual
  return {
    ...usual,
    systemType: options.vsphere_virtual_system_type,
    controller: options.vsphere_scsi_controller_type,
    networkCard: options.vsphere_network_controller_type,
    osType: options.vsphere_os_type,
    nested: options.vsphere_nested_virt,
    cdrom: options.vsphere_cdrom,
  }
}
