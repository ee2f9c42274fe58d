import { MiB } from '../base/units.ts'
import { ANSWER_HOST, type DiskBus, type MachineOptions } from './machine.ts'

/** Files of a machine in its own directory. */
export interface MachineFiles {
  /** A qcow2 file without a backing file of its own: QEMU is told here what is below it. */
  overlay?: string | undefined
  seed?: string | undefined
  /** The guest's own copy of the firmware's variables. */
  variables?: string | undefined
}

/** Streams that QEMU inherits, by file descriptor. */
export const STREAMS = { qmp: 3, serial: 4, web: 5 } as const

/** Names of what is asked for statistics. */
export const TARGET_NODE = 'target'
export const NIC_ID = 'nic'

/**
 * QEMU's command line. File names go in JSON, so that no character in them means anything; each
 * format is named; no file that a header names is opened (`backing` of the image is null).
 * Source: qemu-system-x86_64(1).
 */
export function toQemuArguments(options: MachineOptions, files: MachineFiles): string[] {
  const { accelerator, firmware } = options
  const flash = firmware === 'bios' ? '' : ',pflash0=code,pflash1=variables'
  return [
    ['-nodefaults'],
    ['-no-user-config'],
    ['-sandbox', 'on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny'],
    // Without graphics, as SeaBIOS sees it: it shows the screen on the serial port too, so that boot
    // loaders which know nothing of serial ports are heard. The screen is there all the same.
    ['-machine', `q35,graphics=off,hpet=off,vmport=off${flash}`],
    ['-accel', accelerator.kind === 'kvm' ? 'kvm' : 'tcg,thread=multi'],
    ['-cpu', accelerator.cpu],
    ['-smp', String(options.cpus)],
    ['-m', String(Math.ceil(options.memory / MiB))],
    ['-display', 'none'],
    ['-vga', 'std'], // for screenshots
    ['-chardev', `socket,id=qmp,fd=${STREAMS.qmp}`],
    ['-mon', 'chardev=qmp,mode=control'],
    ['-chardev', `socket,id=serial,fd=${STREAMS.serial}`],
    ['-serial', 'chardev:serial'],
    ['-object', 'rng-builtin,id=rng'],
    ['-device', 'virtio-rng-pci,rng=rng'],
    ...flashOf(options, files),
    ...kernelOf(options),
    ...diskOf(options, files),
    ...targetOf(options),
    ...seedOf(files),
    ...mediaOf(options),
    ...networkOf(options),
    options.endsOnReset === true ? ['-no-reboot'] : [],
  ].flat()
}

function kernelOf({ kernel }: MachineOptions): string[][] {
  if (kernel === undefined) return []
  return [
    ['-kernel', kernel.path],
    // QEMU takes a comma for the end of a name; a doubled one is one.
    ['-initrd', kernel.initrd.replaceAll(',', ',,')],
    ['-append', kernel.commandLine],
  ]
}

const CONTROLLERS: Readonly<Record<DiskBus, readonly string[]>> = {
  virtio: [],
  scsi: ['-device', 'virtio-scsi-pci,id=scsi'],
  sata: [],
  ide: ['-device', 'piix3-ide,id=legacy'],
  sd: ['-device', 'sdhci-pci,id=sd'],
}
const DISK_DEVICES: Readonly<Record<DiskBus, string>> = {
  virtio: 'virtio-blk-pci',
  scsi: 'scsi-hd,bus=scsi.0',
  sata: 'ide-hd,bus=ide.0', // q35's own controller is AHCI, and its ports are called so
  ide: 'ide-hd,bus=legacy.0',
  sd: 'sd-card', // no firmware here boots from it, and it has no name of its own
}

function targetOf({ target, kernel }: MachineOptions): string[][] {
  if (target === undefined) return []
  return [
    [...CONTROLLERS[target.bus]],
    blockDevice(TARGET_NODE, {
      driver: 'raw',
      discard: 'unmap',
      'detect-zeroes': 'unmap', // what an installer clears stays a hole
      // Crashes of this host are no concern of a disk that is half made.
      cache: { 'no-flush': true },
      file: { ...fileNode(target.path, false), discard: 'unmap' },
    }),
    ['-device', [DISK_DEVICES[target.bus], `drive=${TARGET_NODE}`, ...propertiesOf()].join(',')],
  ]

  function propertiesOf(): string[] {
    if (target?.bus === 'sd') return []
    // A kernel that is started directly is what is booted first.
    return ['serial=ingot-disk', ...(kernel === undefined ? ['bootindex=0'] : [])]
  }
}

function mediaOf({ cdroms = [], floppy }: MachineOptions): string[][] {
  const drives = cdroms.map((path, index) => [
    ...blockDevice(`cd${index}`, {
      driver: 'raw',
      'read-only': true,
      file: fileNode(path, true),
    }),
    '-device',
    // Ports 1 and on: the disk has the first one, if it is here.
    `ide-cd,bus=ide.${index + 1},drive=cd${index}${index === 0 ? ',bootindex=1' : ''}`,
  ])
  if (floppy === undefined) return drives
  return [
    ...drives,
    blockDevice('floppy', { driver: 'raw', 'read-only': true, file: fileNode(floppy, true) }),
    ['-device', 'isa-fdc,id=fdc', '-device', 'floppy,bus=fdc.0,drive=floppy'],
  ]
}

function flashOf(options: MachineOptions, files: MachineFiles): string[][] {
  const { firmware, variables = files.variables } = options
  if (firmware === 'bios' || variables === undefined) return []
  return [
    blockDevice('code', { driver: 'raw', 'read-only': true, file: fileNode(firmware.code, true) }),
    blockDevice('variables', { driver: 'raw', file: fileNode(variables, false) }),
  ]
}

function diskOf({ disk }: MachineOptions, { overlay }: MachineFiles): string[][] {
  if (disk === undefined || overlay === undefined) return []
  const alone = disk.format === 'qcow2' ? { backing: null } : {}
  const image = { driver: disk.format, 'read-only': true, ...alone }
  return [
    blockDevice('image', { ...image, file: fileNode(disk.path, true) }),
    blockDevice('disk', {
      driver: 'qcow2',
      cache: { 'no-flush': true }, // nothing of it outlives the machine
      file: fileNode(overlay, false),
      backing: 'image',
    }),
    ['-device', 'virtio-blk-pci,drive=disk,bootindex=0,serial=ingot-disk'],
  ]
}

function seedOf({ seed }: MachineFiles): string[][] {
  if (seed === undefined) return []
  return [
    blockDevice('seed', { driver: 'raw', 'read-only': true, file: fileNode(seed, true) }),
    ['-device', 'virtio-blk-pci,drive=seed,serial=ingot-seed'],
  ]
}

function networkOf({ network, nic = 'virtio', onRequest }: MachineOptions): string[][] {
  if (network === 'none') return []
  const restrict = network === 'isolated' ? 'on' : 'off'
  // Port 0: the kernel gives a free one, which nobody can take in between.
  const card = `user,id=net,restrict=${restrict},hostfwd=tcp:127.0.0.1:0-:22`
  const web = onRequest === undefined ? '' : `,guestfwd=tcp:${ANSWER_HOST}:80-chardev:web`
  return [
    onRequest === undefined ? [] : ['-chardev', `socket,id=web,fd=${STREAMS.web}`],
    ['-netdev', `${card}${web}`],
    ['-device', `${nic === 'virtio' ? 'virtio-net-pci' : nic},id=${NIC_ID},netdev=net,romfile=`],
  ]
}

function blockDevice(name: string, node: Record<string, unknown>): string[] {
  return ['-blockdev', JSON.stringify({ 'node-name': name, ...node })]
}

function fileNode(filename: string, readOnly: boolean): Record<string, unknown> {
  return { driver: 'file', filename, 'read-only': readOnly }
}
