// The little of jstat that tests use as an oracle.
declare module 'jstat' {
  interface Distribution<P extends readonly number[]> {
    cdf(x: number, ...parameters: P): number
  }
  const jStat: {
    normal: Distribution<[mean: number, deviation: number]>
    studentt: Distribution<[df: number]>
    chisquare: Distribution<[df: number]>
    gammaln(x: number): number
  }
  export default jStat
}
