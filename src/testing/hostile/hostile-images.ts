import type { BaseImages } from './base-images.ts'
import { hostileArchives } from './hostile-archives.ts'
import { hostileClaims } from './hostile-claims.ts'
import { hostileClusters } from './hostile-clusters.ts'
import type { HostileImage } from './hostile-image.ts'
import { hostilePacked } from './hostile-packed.ts'
import { hostilePartitions } from './hostile-partitions.ts'
import { hostileQcow2 } from './hostile-qcow2.ts'
import { hostileStreams } from './hostile-streams.ts'
import { hostileVdi } from './hostile-vdi.ts'
import { hostileVhd } from './hostile-vhd.ts'
import { hostileVhdx } from './hostile-vhdx.ts'
import { hostileVmdk } from './hostile-vmdk.ts'
import { hostileVmdkFooters } from './hostile-vmdk-footers.ts'
import { hostileVmdkMarkers } from './hostile-vmdk-markers.ts'

/** Every image that must be refused, family by family. */
export function hostileImages(bases: BaseImages): readonly HostileImage[] {
  return [
    ...hostileQcow2(bases),
    ...hostileClusters(bases),
    ...hostileVdi(bases),
    ...hostileVhd(bases),
    ...hostileVhdx(bases),
    ...hostileVmdk(bases),
    ...hostileVmdkFooters(bases),
    ...hostileVmdkMarkers(),
    ...hostileClaims(bases),
    ...hostilePacked(bases),
    ...hostileStreams(bases),
    ...hostileArchives(bases),
    ...hostilePartitions(),
  ]
}
