// For the pages of a merchant:
//   <script async src="https://go.shop.example/p.js" data-days="60"></script>
// Attributes: data-days (how long a touch is kept), data-workspace, data-domain (one cookie for all its subdomains).
// Served without comments (each on lines of its own) and blanks: no quotation mark in a regular expression, please.
{
  const d = document, { dataset: { days = 60, workspace, domain = "" }, src } = d.currentScript,
    name = "cb_touch", t = Date.now(), life = days * 864e5,
    safe = work => { try { return work() } catch {} }

  // A touch is what Stripe's metadata calls irclickid and partner_key, and its time t.
  let touch
  const api = window.commissionBridge = { metadata: ({ t, ...meta } = touch) => meta },
    use = it => {
      touch = it
      api.clickId = it.irclickid
      api.partnerKey = it.partner_key
      fill()
    },

    // Forms and Stripe's links and elements get it, but for those that somebody else has filled.
    fill = () => {
      const { clickId, partnerKey } = api, id = clickId || partnerKey || "", meta = api.metadata(),
        each = (what, to) => d.querySelectorAll(what).forEach(to),
        mine = old => !old || old == partnerKey
      for (const key in meta) each(`input[name=${key}]`, it => it.value ||= meta[key])
      if (!/^[\w-]{1,200}$/.test(id)) return
      each("a[href^='https://buy.stripe.com/']", it => {
        const to = new URL(it), query = to.searchParams, key = "client_reference_id"
        if (mine(query.get(key))) query.set(key, id), it.href = to
      })
      each("stripe-pricing-table,stripe-buy-button", it => {
        const key = "client-reference-id"
        if (mine(it.getAttribute(key))) it.setAttribute(key, id)
      })
    },

    // A first-party cookie keeps it, and localStorage in case that is gone.
    keep = it => {
      const text = new URLSearchParams(it)
      d.cookie = `${name}=${text};path=/;max-age=${life / 1e3};domain=${domain}`
      safe(() => localStorage[name] = text)
      use(it)
    },
    read = (text, it = Object.fromEntries(new URLSearchParams(text))) => t - it.t < life && it,
    kept = read(d.cookie.split(name + "=")[1]?.split(";")[0]) || read(safe(() => localStorage[name])) || {},

    // The address: a click id, or a partner key under the name that some tool gave it. Never a mail address.
    query = new URLSearchParams(location.search),
    clean = text => /^[^@\s]{1,200}$/.test(text || ""),
    find = names => names.split(" ").map(one => query.get(one)).find(clean),
    irclickid = find("irclickid click_id impact_click_id"),
    partner_key = find("via ref fpr aff a_aid") || [safe(() => atob(query.get("ps_partner_key") || ""))].find(clean)

  api.ready = (async () => {
    use(kept)
    if (irclickid) keep({ irclickid, t })
    // Looking at the same page again is no new touch.
    else if (partner_key && !(kept.partner_key == partner_key && t - kept.t < 6e5)) {
      keep({ partner_key, t })
      try {
        const body = JSON.stringify({ workspace, partner_key }),
          answer = await fetch(new URL("c", src), { method: "POST", keepalive: 1, body })
        if (answer.ok) keep({ irclickid: (await answer.json()).click_id, partner_key, t })
        // Whoever it names is no partner: the touch before stands.
        if (answer.status == 404) keep(kept)
      } catch {}
    }
    return api
  })()
  new MutationObserver(fill).observe(d, { childList: 1, subtree: 1 })
}
