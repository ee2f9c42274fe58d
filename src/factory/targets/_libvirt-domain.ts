import type { LibvirtOptions } from './_libvirt-schemas.ts'

/**
 * A machine with a volume as its disk, a serial console and the channel of the guest agent. All texts in it were checked to be
 * plain names. Source: libvirt, "Domain XML format".
 */
export function domainXml(
  options: LibvirtOptions,
  uuid: string,
  name: string,
  { pool, name: volume }: { readonly pool: string; readonly name: string },
): string {
  const { libvirt_domain_type = 'kvm', libvirt_memory_mb = 1024, libvirt_cpu_count = 1 } = options
  const { libvirt_format = 'qcow2', libvirt_network = 'default', libvirt_firmware } = options
  const format = libvirt_format === 'raw' ? 'raw' : 'qcow2'
  const firmware = libvirt_firmware === 'efi' ? " firmware='efi'" : ''
  const card =
    libvirt_network === 'none'
      ? ''
      : `    <interface type='network'><source network='${libvirt_network}'/><model type='virtio'/></interface>\n`
  return `<domain type='${libvirt_domain_type}'>
  <name>${name}</name>
  <uuid>${uuid}</uuid>
  <memory unit='MiB'>${libvirt_memory_mb}</memory>
  <vcpu>${libvirt_cpu_count}</vcpu>
  <os${firmware}><type machine='q35'>hvm</type><boot dev='hd'/></os>
  <features><acpi/></features>
  <devices>
    <disk type='volume' device='disk'>
      <driver name='qemu' type='${format}'/>
      <source pool='${pool}' volume='${volume}'/>
      <target dev='vda' bus='virtio'/>
    </disk>
${card}    <serial type='pty'/>
    <console type='pty'/>
    <channel type='unix'><target type='virtio' name='org.qemu.guest_agent.0'/></channel>
    <rng model='virtio'><backend model='random'>/dev/urandom</backend></rng>
  </devices>
</domain>
`
}
