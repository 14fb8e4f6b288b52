// A browser started under the POSIX locale calls its language `en-US@posix`, which Intl refuses; uPlot asks Intl for it as it loads.
try {
  new Intl.NumberFormat(navigator.language)
} catch {
  Object.defineProperty(navigator, 'language', { value: 'en-US' })
}

export {}
