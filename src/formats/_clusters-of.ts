import type { ClusterIndex } from './cluster-index.ts'
import type { ViewInput } from './view.ts'

/** The clusters that a compressed view is made of; `makeView` has seen that they are the right ones. */
export function clustersOf({ clusters }: ViewInput): ClusterIndex {
  if (clusters === undefined) throw new TypeError('a compressed view is made of clusters')
  return clusters
}
