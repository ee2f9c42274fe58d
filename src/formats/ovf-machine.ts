/**
 * OVF descriptors: what a virtual machine for a disk should look like, for two families of programs
 * that import them. One processor, 2 GiB of memory, one network card that every system knows; whoever
 * imports the machine changes them as they like, and who makes it may say otherwise.
 * Source: DMTF, DSP0243, "Open Virtualization Format", and the descriptors that both families export.
 */
import { uuidFor, uuidText } from './_identity.ts'

export type OvfProfile = 'vmware' | 'virtualbox'

export interface OvfDisk {
  /** Of the file in the archive. */
  readonly name: string
  /** Bytes of the file; of the guest's disk; of the data in it. */
  readonly fileSize: number
  readonly size: number
  readonly populatedSize: number
}

const STREAM_OPTIMIZED = 'http://www.vmware.com/interfaces/specifications/vmdk.html#streamOptimized'
const MEMORY_MIB = 2048

/** What the families differ in: the machine's type, the controller that the disk is at, and the network. */
const PROFILES = {
  vmware: {
    systemType: 'vmx-13',
    controller: { type: 6, subType: 'lsilogic', name: 'SCSI Controller 0' },
    /** What vSphere calls a 64-bit system that nobody names. */
    guest: ' vmw:osType="otherGuest64"',
    network: 'VM Network',
  },
  virtualbox: {
    systemType: 'virtualbox-2.2',
    controller: { type: 20, subType: 'AHCI', name: 'SATA Controller 0' },
    guest: '',
    network: 'NAT',
  },
} as const

/** Kinds of hardware. Source: DMTF, CIM_ResourceAllocationSettingData, ResourceType. */
const RESOURCE = { processor: 3, memory: 4, network: 10, cdrom: 15, disk: 17 } as const
/** `Other 64-Bit`. Source: DMTF, CIM_OperatingSystem, OsType. */
const OTHER_64 = 102

/** What may be said otherwise of a machine. Texts may be any. */
export interface OvfHardware {
  readonly name?: string | undefined
  readonly processors?: number | undefined
  readonly memoryMiB?: number | undefined
  /** `vmx-13`, `virtualbox-2.2`. */
  readonly systemType?: string | undefined
  /** ResourceSubType of the disk's controller: `lsilogic`, `VirtualSCSI`, `AHCI`. */
  readonly controller?: string | undefined
  /** ResourceSubType of the network card: `E1000`, `VmxNet3`. */
  readonly networkCard?: string | undefined
  readonly network?: string | undefined
  /** As vSphere calls systems: `debian12_64Guest`. */
  readonly osType?: string | undefined
  /** The processor's own virtualization is shown to the guest. Of VMware only. */
  readonly nested?: boolean | undefined
  /** An empty drive for CDs. */
  readonly cdrom?: boolean | undefined
  readonly product?: {
    readonly name?: string | undefined
    readonly vendor?: string | undefined
    readonly version?: string | undefined
  }
}

/** The descriptor of a machine with one disk, as XML. */
export function ovfDescriptor(machine: {
  readonly profile: OvfProfile
  readonly identity: string
  readonly disk: OvfDisk
  readonly hardware?: OvfHardware
}): string {
  const { profile, identity, disk, hardware = {} } = machine
  const usual = PROFILES[profile]
  const { processors = 1, memoryMiB = MEMORY_MIB, networkCard = 'E1000' } = hardware
  const systemType = escape(hardware.systemType ?? usual.systemType)
  const network = escape(hardware.network ?? usual.network)
  const controller = {
    ...usual.controller,
    subType: escape(hardware.controller ?? usual.controller.subType),
  }
  const guest =
    hardware.osType === undefined ? usual.guest : ` vmw:osType="${escape(hardware.osType)}"`
  const usualName = `image-${uuidText(uuidFor('ovf machine', identity)).slice(0, 8)}`
  const name = escape(hardware.name ?? usualName)
  const items = [
    {
      ElementName: processors === 1 ? '1 virtual CPU' : `${processors} virtual CPUs`,
      InstanceID: 1,
      ResourceType: RESOURCE.processor,
      VirtualQuantity: processors,
    },
    {
      AllocationUnits: 'byte * 2^20',
      ElementName: `${memoryMiB} MiB of memory`,
      InstanceID: 2,
      ResourceType: RESOURCE.memory,
      VirtualQuantity: memoryMiB,
    },
    {
      Address: 0,
      ElementName: controller.name,
      InstanceID: 3,
      ResourceSubType: controller.subType,
      ResourceType: controller.type,
    },
    {
      AddressOnParent: 0,
      ElementName: 'Hard Disk 1',
      HostResource: 'ovf:/disk/vmdisk1',
      InstanceID: 4,
      Parent: 3,
      ResourceType: RESOURCE.disk,
    },
    {
      AutomaticAllocation: true,
      Connection: network,
      ElementName: 'Network adapter 1',
      InstanceID: 5,
      ResourceSubType: escape(networkCard),
      ResourceType: RESOURCE.network,
    },
    ...(hardware.cdrom === true ? CDROM : []),
  ]
  return `<?xml version="1.0" encoding="UTF-8"?>
<Envelope ovf:version="1.0"
    xmlns="http://schemas.dmtf.org/ovf/envelope/1"
    xmlns:ovf="http://schemas.dmtf.org/ovf/envelope/1"
    xmlns:rasd="http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/CIM_ResourceAllocationSettingData"
    xmlns:vssd="http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/CIM_VirtualSystemSettingData"
    xmlns:vmw="http://www.vmware.com/schema/ovf">
  <References>
    <File ovf:href="${disk.name}" ovf:id="file1" ovf:size="${disk.fileSize}"/>
  </References>
  <DiskSection>
    <Info>Virtual disks</Info>
    <Disk ovf:capacity="${disk.size}" ovf:capacityAllocationUnits="byte" ovf:diskId="vmdisk1" ovf:fileRef="file1" ovf:format="${STREAM_OPTIMIZED}" ovf:populatedSize="${disk.populatedSize}"/>
  </DiskSection>
  <NetworkSection>
    <Info>Networks</Info>
    <Network ovf:name="${network}">
      <Description>The network of the machine</Description>
    </Network>
  </NetworkSection>
  <VirtualSystem ovf:id="${name}">
    <Info>A virtual machine</Info>
    <Name>${name}</Name>
    <OperatingSystemSection ovf:id="${OTHER_64}"${guest}>
      <Info>The operating system</Info>
    </OperatingSystemSection>
    <VirtualHardwareSection>
      <Info>Virtual hardware</Info>
      <System>
        <vssd:ElementName>Virtual Hardware Family</vssd:ElementName>
        <vssd:InstanceID>0</vssd:InstanceID>
        <vssd:VirtualSystemIdentifier>${name}</vssd:VirtualSystemIdentifier>
        <vssd:VirtualSystemType>${systemType}</vssd:VirtualSystemType>
      </System>
${items.map(itemElement).join('')}${hardware.nested === true ? NESTED : ''}    </VirtualHardwareSection>
${productSection(hardware.product)}  </VirtualSystem>
</Envelope>
`
}

/** A drive, and the IDE controller that it is at. */
const CDROM = [
  { Address: 0, ElementName: 'IDE Controller 0', InstanceID: 6, ResourceType: 5 },
  {
    AddressOnParent: 0,
    AutomaticAllocation: false,
    ElementName: 'CD drive 1',
    InstanceID: 7,
    Parent: 6,
    ResourceType: RESOURCE.cdrom,
  },
]

const NESTED =
  '      <vmw:Config ovf:required="false" vmw:key="nestedHVEnabled" vmw:value="true"/>\n'

/** Source: DMTF, DSP0243, 9.6. */
function productSection(product: OvfHardware['product']): string {
  const texts = [
    ['Product', product?.name],
    ['Vendor', product?.vendor],
    ['Version', product?.version],
  ] as const
  const lines = texts.flatMap(([tag, text]) =>
    text === undefined ? [] : [`      <${tag}>${escape(text)}</${tag}>\n`],
  )
  if (lines.length === 0) return ''
  return `    <ProductSection>\n      <Info>What is in it</Info>\n${lines.join('')}    </ProductSection>\n`
}

/** A text in XML, in elements and attributes; characters that XML cannot have are left out. */
function escape(text: string): string {
  return text
    .replaceAll(/[^\t\n\r\x20-\ud7ff\ue000-\ufffd]/g, '')
    .replaceAll(/[&<>"]/g, (character) => `&#${character.charCodeAt(0)};`)
}

/** One piece of hardware. The schema wants its elements in the order of the alphabet, as they are given. */
function itemElement(fields: Readonly<Record<string, string | number | boolean>>): string {
  const lines = Object.entries(fields).map(
    ([name, value]) => `        <rasd:${name}>${value}</rasd:${name}>\n`,
  )
  return `      <Item>\n${lines.join('')}      </Item>\n`
}
