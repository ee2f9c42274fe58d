/** The OVF descriptor of a machine for vSphere: one disk at a paravirtual controller, one network card. */
import { escapeXml } from '../../clouds/vsphere.ts'
import type { VsphereOptions } from './_vsphere-schemas.ts'

export interface Machine {
  readonly name: string
  readonly options: VsphereOptions
  /** Bytes of the guest's disk, and of the file it is in. */
  readonly size: number
  readonly fileSize: number
}

export const DISK_FILE = 'disk.vmdk'
/** What networks of the descriptor are mapped from. */
export const NETWORK = 'network'

/** Source: DMTF DSP0243, and the descriptors that vSphere exports: `vmw` configures what OVF has no word for. */
export function descriptorOf({ name, options, size, fileSize }: Machine): string {
  const { vsphere_cpus = 1, vsphere_memory = 2048, vsphere_firmware = 'bios' } = options
  const { vsphere_guest = 'otherLinux64Guest' } = options
  const items = [
    [
      rasd('ElementName', 'processors'),
      rasd('InstanceID', 1),
      rasd('ResourceType', 3),
      rasd('VirtualQuantity', vsphere_cpus),
    ],
    [
      rasd('AllocationUnits', 'byte * 2^20'),
      rasd('ElementName', 'memory'),
      rasd('InstanceID', 2),
      rasd('ResourceType', 4),
      rasd('VirtualQuantity', vsphere_memory),
    ],
    [
      rasd('Address', 0),
      rasd('ElementName', 'SCSI Controller 0'),
      rasd('InstanceID', 3),
      rasd('ResourceSubType', 'VirtualSCSI'),
      rasd('ResourceType', 6),
    ],
    [
      rasd('AddressOnParent', 0),
      rasd('ElementName', 'Hard Disk 1'),
      rasd('HostResource', 'ovf:/disk/disk1'),
      rasd('InstanceID', 4),
      rasd('Parent', 3),
      rasd('ResourceType', 17),
    ],
    [
      rasd('AutomaticAllocation', 'true'),
      rasd('Connection', NETWORK),
      rasd('ElementName', 'Network adapter 1'),
      rasd('InstanceID', 5),
      rasd('ResourceSubType', 'VmxNet3'),
      rasd('ResourceType', 10),
    ],
  ].map((fields) => `<Item>${fields.join('')}</Item>`)
  const title = escapeXml(name)
  return `<?xml version="1.0" encoding="UTF-8"?>
<Envelope xmlns="http://schemas.dmtf.org/ovf/envelope/1" xmlns:ovf="http://schemas.dmtf.org/ovf/envelope/1" xmlns:rasd="http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/CIM_ResourceAllocationSettingData" xmlns:vssd="http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/CIM_VirtualSystemSettingData" xmlns:vmw="http://www.vmware.com/schema/ovf">
<References><File ovf:href="${DISK_FILE}" ovf:id="file1" ovf:size="${fileSize}"/></References>
<DiskSection><Info>Virtual disks</Info><Disk ovf:capacity="${size}" ovf:capacityAllocationUnits="byte" ovf:diskId="disk1" ovf:fileRef="file1" ovf:format="http://www.vmware.com/interfaces/specifications/vmdk.html#streamOptimized"/></DiskSection>
<NetworkSection><Info>Networks</Info><Network ovf:name="${NETWORK}"><Description>The network of the machine</Description></Network></NetworkSection>
<VirtualSystem ovf:id="${title}"><Info>A virtual machine</Info><Name>${title}</Name>
<OperatingSystemSection ovf:id="102" vmw:osType="${vsphere_guest}"><Info>The operating system</Info></OperatingSystemSection>
<VirtualHardwareSection><Info>Virtual hardware</Info><System><vssd:ElementName>Virtual Hardware Family</vssd:ElementName><vssd:InstanceID>0</vssd:InstanceID><vssd:VirtualSystemIdentifier>${title}</vssd:VirtualSystemIdentifier><vssd:VirtualSystemType>vmx-13</vssd:VirtualSystemType></System>
${items.join('\n')}
<vmw:Config ovf:required="false" vmw:key="firmware" vmw:value="${vsphere_firmware}"/>
</VirtualHardwareSection></VirtualSystem></Envelope>
`
}

function rasd(key: string, value: string | number): string {
  return `<rasd:${key}>${value}</rasd:${key}>`
}
