/**
 * Properties that hypervisors and clients of OpenStack give a meaning to, as the schema of images lists them. Every one may
 * be left out, and an image may have others. Our own words; the names are those of the useful image properties.
 */
import type { WireField } from './image-schema.ts'

const UUID_OR_NOTHING =
  '^([0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12})$'

const TEXTS = {
  // What is inside
  architecture: 'Architecture of the operating system: x86_64, aarch64, ppc64le, s390x',
  os_distro: 'Common name of the operating system, in lower case: debian, centos, windows',
  os_version: 'Version of the operating system, as its distributor writes it',
  os_type: 'Kind of operating system: linux or windows',
  os_admin_user: 'Name of the user who may administer the guest',
  os_require_quiesce: 'Whether file systems are made quiet before a snapshot: yes or no',
  os_secure_boot: 'Whether the guest is booted with Secure Boot: required, disabled, optional',
  os_shutdown_timeout: 'Seconds that the guest is given to shut down',
  os_command_line: 'Arguments of the kernel, when it is booted without a boot loader',
  instance_uuid: 'Server of which this image is a snapshot',
  description: 'What the image is, for people',

  // Kind of machine
  hypervisor_type: 'Hypervisor that the image is meant for: qemu, kvm, hyperv, vmware',
  vm_mode: 'How the guest runs: hvm or exe',
  hw_machine_type: 'Machine that is emulated: q35, pc, virt',
  hw_firmware_type: 'Firmware that boots the guest: bios or uefi',
  hw_firmware_stateless: 'Whether UEFI keeps no variables: true or false',
  hw_boot_menu: 'Whether the firmware shows a boot menu: true or false',
  hw_emulation_architecture: 'Architecture that is emulated, when it is not the host’s',
  hw_vif_multiqueue_enabled: 'Whether network interfaces have several queues: true or false',
  hw_watchdog_action: 'What a watchdog does when the guest hangs: disabled, reset, poweroff, pause',
  hw_qemu_guest_agent: 'Whether there is a channel for the QEMU guest agent: yes or no',
  hw_rng_model: 'Random number generator that the guest is given: virtio',
  hw_time_hpet: 'Whether the guest has a high precision event timer: true or false',
  hw_tpm_model: 'Model of the TPM: tpm-tis or tpm-crb',
  hw_tpm_version: 'Version of the TPM: 1.2 or 2.0',
  hw_mem_encryption: 'Whether the memory of the guest is encrypted: true or false',
  hw_virtio_packed_ring: 'Whether virtio devices use packed rings: true or false',
  hw_locked_memory: 'Whether the memory of the guest is kept from being swapped out: true or false',
  hw_pmu: 'Whether the guest sees a performance monitoring unit: true or false',
  hw_vtpm_secret: 'Secret with which the state of the TPM is sealed',

  // Devices
  hw_disk_bus: 'Bus of disks: virtio, scsi, sata, ide, usb',
  hw_cdrom_bus: 'Bus of optical drives: sata, scsi, ide',
  hw_scsi_model: 'SCSI controller: virtio-scsi',
  hw_vif_model: 'Model of network interfaces: virtio, e1000, e1000e, vmxnet3',
  hw_video_model: 'Model of the graphics: virtio, qxl, vga, none',
  hw_video_ram: 'Memory of the graphics, in MiB',
  hw_sound_model: 'Model of the sound device',
  hw_input_bus: 'Bus of input devices: usb or virtio',
  hw_pointer_model: 'Pointer that the guest is given: usbtablet',
  hw_serial_port_count: 'Serial ports that the guest has',
  hw_usb_model: 'Model of the USB controller',
  hw_viommu_model: 'Model of the IOMMU that the guest sees: intel, smmuv3, virtio, auto',

  // Processors and memory
  hw_cpu_sockets: 'Sockets that the guest sees',
  hw_cpu_cores: 'Cores of a socket',
  hw_cpu_threads: 'Threads of a core',
  hw_cpu_policy: 'Whether processors are pinned: dedicated, shared, mixed',
  hw_cpu_thread_policy: 'Which threads of cores are taken: prefer, isolate, require',
  hw_mem_page_size: 'Size of memory pages: small, large, any, or a size in KiB',
  hw_numa_nodes: 'NUMA nodes that the guest sees',

  // Other hypervisors, other services
  vmware_adaptertype: 'Disk controller on VMware: lsiLogic, paraVirtual, ide',
  vmware_disktype: 'Kind of the VMDK: sparse, preallocated, streamOptimized',
  vmware_ostype: 'Operating system, by VMware’s name',
  img_config_drive: 'Whether the guest needs a config drive: mandatory or optional',
  img_hide_hypervisor_id: 'Whether the guest is kept from seeing that it is one: true or false',
  img_signature: 'Signature of the data, in base64',
  img_signature_hash_method: 'Hash that was signed: SHA-256, SHA-384, SHA-512',
  img_signature_key_type: 'Kind of the key that signed: RSA-PSS, DSA, ECC_SECT571R1',
  img_signature_certificate_uuid: 'Certificate of the key that signed, in the key manager',
  cinder_encryption_key_id: 'Key in the key manager that encrypts the volume of this image',
  cinder_encryption_key_deletion_policy: 'on_image_deletion: the key is deleted with the image',
} as const

export const WELL_KNOWN_PROPERTIES: Readonly<Record<string, WireField>> = {
  kernel_id: {
    type: ['null', 'string'],
    pattern: UUID_OR_NOTHING,
    description: 'Image of the kernel with which an AMI boots',
  },
  ramdisk_id: {
    type: ['null', 'string'],
    pattern: UUID_OR_NOTHING,
    description: 'Image of the RAM disk with which an AMI boots',
  },
  ...Object.fromEntries(
    Object.entries(TEXTS).map(([name, description]) => [name, { type: 'string', description }]),
  ),
}
