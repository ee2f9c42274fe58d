/**
 * Vagrant boxes: a disk, what describes its machine to one of Vagrant's providers, and the box's own Vagrantfile.
 * Source: Vagrant, "Box file format", and what its providers for VirtualBox, VMware, Hyper-V and libvirt read.
 */
import { GiB } from '../../base/units.ts'
import type { FormattedDisk, PushJob } from '../cloud-target.ts'
import { formOf, type OvaForm, type OvaOptions } from './_ova-schemas.ts'
import { type TarFile, tarBytes, tarDisk } from './_tar-stream.ts'

export type BoxForm = Exclude<OvaForm, 'vmware' | 'virtualbox'>

export function isBox(form: OvaForm): form is BoxForm {
  return form.startsWith('vagrant-')
}

/** What Vagrant calls the provider, the disk's format, and its name in the box. */
export const BOXES: Readonly<
  Record<BoxForm, { readonly provider: string; readonly format: string; readonly disk: string }>
> = {
  'vagrant-libvirt': { provider: 'libvirt', format: 'qcow2', disk: 'box.img' },
  'vagrant-virtualbox': { provider: 'virtualbox', format: 'vmdk-stream', disk: 'box-disk1.vmdk' },
  'vagrant-vmware': { provider: 'vmware_desktop', format: 'vmdk', disk: 'disk.vmdk' },
  'vagrant-hyperv': { provider: 'hyperv', format: 'vhdx', disk: 'Virtual Hard Disks/disk.vhdx' },
}

type BoxJob = Pick<PushJob<OvaOptions>, 'options' | 'disk' | 'template' | 'image'>

/** The files of a box. `ovf`: the descriptor of the machine, which VirtualBox's want. */
export function boxFiles(job: BoxJob, form: BoxForm, disk: FormattedDisk, ovf: string): TarFile[] {
  const { provider, disk: name } = BOXES[form]
  const { options } = job
  const metadata = {
    provider,
    ...(form === 'vagrant-libvirt' && {
      format: 'qcow2',
      virtual_size: Math.ceil(job.disk.size / GiB),
    }),
  }
  const info = {
    description: job.template.description || job.template.name,
    ...(options.ova_box_version !== undefined && { version: options.ova_box_version }),
  }
  return [
    tarBytes('metadata.json', `${JSON.stringify(metadata)}\n`),
    tarBytes('info.json', `${JSON.stringify(info)}\n`),
    tarBytes('Vagrantfile', vagrantfile(options, form)),
    ...describe(job, form, ovf),
    tarDisk(name, disk),
  ]
}

function describe(job: BoxJob, form: BoxForm, ovf: string): TarFile[] {
  if (form === 'vagrant-virtualbox') return [tarBytes('box.ovf', ovf)]
  if (form === 'vagrant-vmware') return [tarBytes('box.vmx', vmxOf(job))]
  if (form !== 'vagrant-hyperv') return []
  return [
    tarBytes('Virtual Machines/', ''),
    tarBytes('Virtual Machines/box.xml', hypervXml(job)),
    tarBytes('Virtual Hard Disks/', ''),
  ]
}

/** A MAC address of VirtualBox's own; each machine that Vagrant makes gets another. */
const MAC = '080027000001'

function vagrantfile(
  { vagrant_sync_directory: sync, ...options }: OvaOptions,
  form: BoxForm,
): string {
  const { ovf_cpu_count: processors, ovf_memory_mb: memory } = options
  const lines = [
    ...(form === 'vagrant-virtualbox' ? [`config.vm.base_mac = "${MAC}"`] : []),
    sync === undefined
      ? 'config.vm.synced_folder ".", "/vagrant", disabled: true'
      : `config.vm.synced_folder ".", ${rubyText(sync)}, type: "rsync"`,
    ...(form === 'vagrant-libvirt' && (processors !== undefined || memory !== undefined)
      ? [
          'config.vm.provider :libvirt do |libvirt|',
          ...(processors === undefined ? [] : [`  libvirt.cpus = ${processors}`]),
          ...(memory === undefined ? [] : [`  libvirt.memory = ${memory}`]),
          'end',
        ]
      : []),
  ]
  return `Vagrant.configure("2") do |config|\n${lines.map((line) => `  ${line}\n`).join('')}end\n`
}

/** Ruby runs nothing in single quotes, in which only these two are special. */
function rubyText(text: string): string {
  return `'${text.replaceAll(/[\\']/g, '\\$&')}'`
}

/** Source: VMware's `.vmx` files; a quote or a line's end in a value would end it. */
function vmxOf({ options, image }: BoxJob): string {
  const { ovf_name, ovf_cpu_count = 1, ovf_memory_mb = 2048 } = options
  const memory = Math.ceil(ovf_memory_mb / 4) * 4 // VMware takes multiples of 4
  const values: Record<string, string | number> = {
    '.encoding': 'UTF-8',
    'config.version': 8,
    'virtualHW.version': 13,
    displayName: ovf_name ?? `image-${image.id.slice(0, 8)}`,
    guestOS: 'other-64',
    numvcpus: ovf_cpu_count,
    memsize: memory,
    'scsi0.present': 'TRUE',
    'scsi0.virtualDev': options.fusion_scsi_controller_type ?? 'lsilogic',
    'scsi0:0.present': 'TRUE',
    'scsi0:0.fileName': BOXES['vagrant-vmware'].disk,
    'pciBridge0.present': 'TRUE',
    'ethernet0.present': 'TRUE',
    'ethernet0.connectionType': 'nat',
    'ethernet0.virtualDev': options.fusion_network_controller_type ?? 'e1000',
    'ethernet0.addressType': 'generated',
    ...(options.fusion_nested_virt === true && { 'vhv.enable': 'TRUE' }),
  }
  const lines = Object.entries(values).map(
    ([key, value]) => `${key} = "${String(value).replaceAll(/["\p{Cc}|]/gu, ' ')}"\n`,
  )
  return lines.join('')
}

/** As much of Hyper-V's machine as Vagrant reads of it; a controller with a channel is SCSI there. */
function hypervXml({ options, image }: BoxJob): string {
  const { ovf_name, ovf_cpu_count = 1, ovf_memory_mb = 2048 } = options
  const name = (ovf_name ?? `image-${image.id.slice(0, 8)}`).replaceAll(/[&<>"\p{Cc}]/gu, ' ')
  const memory = Math.ceil(ovf_memory_mb / 2) * 2 // Hyper-V takes multiples of 2
  return `<?xml version="1.0" encoding="UTF-8"?>
<configuration>
  <properties>
    <name type="string">${name}</name>
    <subtype type="integer">1</subtype>
  </properties>
  <settings>
    <processors>
      <count type="integer">${ovf_cpu_count}</count>
    </processors>
    <memory>
      <bank>
        <dynamic_memory_enabled type="bool">False</dynamic_memory_enabled>
        <limit type="integer">${memory}</limit>
        <reservation type="integer">${memory}</reservation>
        <size type="integer">${memory}</size>
      </bank>
    </memory>
  </settings>
  <boot>
    <device0 type="string">HardDrive</device0>
  </boot>
  <secure_boot_enabled type="bool">False</secure_boot_enabled>
  <storage>
    <ChannelInstanceGuid type="string">{00000000-0000-0000-0000-000000000001}</ChannelInstanceGuid>
    <controller0>
      <drive0>
        <pathname type="string">disk.vhdx</pathname>
        <type type="string">VHD</type>
      </drive0>
    </controller0>
  </storage>
</configuration>
`
}

/**
 * The key that every Vagrant knows; it puts another in its place when it first meets a machine.
 * Source: Vagrant, `keys/vagrant.pub`.
 */
const INSECURE_KEY =
  'ssh-rsa AAAAB3NzaC1yc2EAAAABIwAAAQEA6NF8iallvQVp22WDkTkyrtvp9eWW6A8YVr+kz4TjGYe7gHzIw+niNltGEFHzD8+v1I2YJ6oXevct1YeS0o9HZyN1Q9qgCgzUFtdOKLv6IedplqoPkcmF0aYet2PkEDo3MlTBckFXPITAMzF8dJSIFo9D8HfdOV0IAdx4O7PtixWKn5y2hMNG0zQPyUecp4pzC6kivAIhyfHilFR61RGL+GPXQ2MWZWFYbAGjyiYJnAmCP3NOTd0jMZEnDkbUvxhMmBYSdETk1rRgm+R4LOzFUGaHqHDLKLX+FIPKcF96hrucXzcWyLbIbEgE98OHlnVYCzRdK8jlqm8tehUc9c9WhQ== vagrant insecure public key'

/** Steps of a recipe: whoever knows Vagrant's key is root there, until Vagrant has changed it. Only for boxes. */
export function vagrantSteps(options: OvaOptions): readonly object[] {
  if (!isBox(formOf(options)) || options.vagrant_user === false) return []
  return [
    { user: { name: 'vagrant', shell: '/bin/bash' } },
    { authorized_key: { user: 'vagrant', key: INSECURE_KEY } },
    {
      file: {
        path: '/etc/sudoers.d/vagrant',
        content: 'vagrant ALL=(ALL) NOPASSWD: ALL\n',
        mode: '0440',
      },
    },
  ]
}
