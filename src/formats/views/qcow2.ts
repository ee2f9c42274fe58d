import { CLUSTER, qcow2Content, qcow2Layout, writePlainEntry } from '../_qcow2-layout.ts'
import { blocksContent } from '../_segments.ts'
import type { ViewFormat } from '../view.ts'

/** QEMU's format, version 3, without compression: what KVM and OpenStack run from. */
export const qcow2: ViewFormat = {
  name: 'qcow2',
  summary: 'QEMU, KVM and OpenStack: version 3, clusters of 64 KiB',
  endings: ['qcow2'],
  mediaType: 'application/x-qemu-disk',
  needs: 'map',
  version: 1,
  make: ({ map }) => {
    const layout = qcow2Layout(map, map.dataUnits)
    return qcow2Content(layout, {
      data: blocksContent(map, map),
      writeEntry: (table, at, rank) => writePlainEntry(table, at, layout.data + rank * CLUSTER),
    })
  },
}
