import type { BaseImages } from './base-images.ts'
import { hostileClaims } from './hostile-claims.ts'
import type { HostileImage } from './hostile-image.ts'
import { hostilePacked } from './hostile-packed.ts'
import { hostilePartitions } from './hostile-partitions.ts'
import { hostileQcow2 } from './hostile-qcow2.ts'
import { hostileVdi } from './hostile-vdi.ts'
import { hostileVhd } from './hostile-vhd.ts'
import { hostileVhdx } from './hostile-vhdx.ts'
import { hostileVmdk } from './hostile-vmdk.ts'

/** Every image that must be refused, family by family. */
export function hostileImages(bases: BaseImages): readonly HostileImage[] {
  return [
    ...hostileQcow2(bases),
    ...hostileVdi(bases),
    ...hostileVhd(bases),
    ...hostileVhdx(bases),
    ...hostileVmdk(bases),
    ...hostileClaims(bases),
    ...hostilePacked(bases),
    ...hostilePartitions(),
  ]
}
