"""Texts that generate.py draws from."""

_NAMES = ["order-confirmed", "payment-failed", "parcel-on-its-way", "basket-empty", "sign-in",
          "session-expired", "try-again-later", "welcome-back"]

_TEXTS = {
    "en": ["Thank you! Your order {number} is confirmed.", "Your payment could not be completed.",
           "Your parcel is on its way.", "Your basket is empty.", "Sign in",
           "You have been signed out. Please sign in again.",
           "Something went wrong. Please try again later.", "Welcome back, {name}!"],
    "de": ["Vielen Dank! Ihre Bestellung {number} ist bestätigt.",
           "Ihre Zahlung konnte nicht abgeschlossen werden.", "Ihr Paket ist unterwegs.",
           "Ihr Warenkorb ist leer.", "Anmelden",
           "Sie wurden abgemeldet. Bitte melden Sie sich erneut an.",
           "Etwas ist schiefgelaufen. Bitte versuchen Sie es später erneut.",
           "Schön, Sie wiederzusehen, {name}!"],
    "fr": ["Merci ! Votre commande {number} est confirmée.", "Votre paiement n’a pas abouti.",
           "Votre colis est en route.", "Votre panier est vide.", "Se connecter",
           "Vous avez été déconnecté. Veuillez vous reconnecter.",
           "Une erreur s’est produite. Veuillez réessayer plus tard.", "Bon retour, {name} !"],
    "es": ["¡Gracias! Su pedido {number} está confirmado.", "No se pudo completar el pago.",
           "Su paquete está en camino.", "Su cesta está vacía.", "Iniciar sesión",
           "Su sesión ha caducado. Vuelva a iniciar sesión.",
           "Algo salió mal. Inténtelo de nuevo más tarde.", "¡Hola de nuevo, {name}!"],
    "pt-BR": ["Obrigado! Seu pedido {number} foi confirmado.",
              "Não foi possível concluir o pagamento.", "Seu pacote está a caminho.",
              "Seu carrinho está vazio.", "Entrar", "Sua sessão expirou. Entre novamente.",
              "Algo deu errado. Tente novamente mais tarde.", "Que bom ver você, {name}!"],
    "pl": ["Dziękujemy! Zamówienie {number} zostało potwierdzone.",
           "Nie udało się zrealizować płatności.", "Twoja paczka jest w drodze.",
           "Twój koszyk jest pusty.", "Zaloguj się", "Sesja wygasła. Zaloguj się ponownie.",
           "Coś poszło nie tak. Spróbuj ponownie później.", "Witaj ponownie, {name}!"],
    "cs": ["Děkujeme! Vaše objednávka {number} je potvrzena.", "Platbu se nepodařilo dokončit.",
           "Vaše zásilka je na cestě.", "Váš košík je prázdný.", "Přihlásit se",
           "Byli jste odhlášeni. Přihlaste se prosím znovu.",
           "Něco se pokazilo. Zkuste to prosím později.", "Vítejte zpět, {name}!"],
    "tr": ["Teşekkürler! {number} numaralı siparişiniz onaylandı.", "Ödemeniz tamamlanamadı.",
           "Paketiniz yola çıktı.", "Sepetiniz boş.", "Giriş yap",
           "Oturumunuz sona erdi. Lütfen tekrar giriş yapın.",
           "Bir sorun oluştu. Lütfen daha sonra tekrar deneyin.", "Tekrar hoş geldin, {name}!"],
    "el": ["Ευχαριστούμε! Η παραγγελία {number} επιβεβαιώθηκε.", "Η πληρωμή δεν ολοκληρώθηκε.",
           "Το δέμα σας είναι καθ’ οδόν.", "Το καλάθι σας είναι άδειο.", "Σύνδεση",
           "Η σύνδεσή σας έληξε. Συνδεθείτε ξανά.",
           "Κάτι πήγε στραβά. Δοκιμάστε ξανά αργότερα.", "Καλώς ήρθατε ξανά, {name}!"],
    "uk": ["Дякуємо! Замовлення {number} підтверджено.", "Не вдалося здійснити оплату.",
           "Ваша посилка вже в дорозі.", "Ваш кошик порожній.", "Увійти",
           "Сеанс завершено. Увійдіть ще раз.", "Щось пішло не так. Спробуйте пізніше.",
           "З поверненням, {name}!"],
    "ja": ["ありがとうございます。ご注文{number}を承りました。", "お支払いを完了できませんでした。",
           "お荷物は配送中です。", "カートは空です。", "ログイン",
           "ログアウトされました。もう一度ログインしてください。",
           "問題が発生しました。しばらくしてからもう一度お試しください。", "おかえりなさい、{name}さん！"],
    "zh-CN": ["谢谢！您的订单{number}已确认。", "付款未能完成。", "您的包裹正在运送途中。",
              "您的购物车是空的。", "登录", "您已退出登录，请重新登录。", "出了点问题，请稍后再试。",
              "欢迎回来，{name}！"],
    "ko": ["감사합니다! 주문 {number}이(가) 확인되었습니다.", "결제를 완료하지 못했습니다.",
           "상품이 배송 중입니다.", "장바구니가 비어 있습니다.", "로그인",
           "로그아웃되었습니다. 다시 로그인해 주세요.", "문제가 발생했습니다. 나중에 다시 시도해 주세요.",
           "다시 오신 것을 환영합니다, {name}님!"],
    "ar": ["شكرًا لك! تم تأكيد طلبك {number}.", "تعذر إتمام الدفع.", "طردك في الطريق إليك.",
           "سلة التسوق فارغة.", "تسجيل الدخول", "انتهت جلستك. يرجى تسجيل الدخول مرة أخرى.",
           "حدث خطأ ما. يرجى المحاولة لاحقًا.", "مرحبًا بعودتك، {name}!"],
    "hi": ["धन्यवाद! आपका ऑर्डर {number} पक्का हो गया है।", "आपका भुगतान पूरा नहीं हो सका।",
           "आपका पार्सल रास्ते में है।", "आपकी टोकरी खाली है।", "साइन इन करें",
           "आपका सत्र समाप्त हो गया है। कृपया फिर से साइन इन करें।",
           "कुछ गड़बड़ हो गई। कृपया बाद में फिर प्रयास करें।", "वापसी पर स्वागत है, {name}!"],
}

# Language, then name of the message, then its text.
MESSAGES = {language: dict(zip(_NAMES, texts, strict=True)) for language, texts in _TEXTS.items()}

# Name and expression of an alert; SERVICE stands for the service's name.
ALERTS = {
    "high-error-rate": "sum(rate(http_requests_total{service=\"SERVICE\",code=~\"5..\"}[5m])) / "
                       "sum(rate(http_requests_total{service=\"SERVICE\"}[5m])) > 0.02",
    "slow-requests": "histogram_quantile(0.99, sum by (le) "
                     "(rate(http_request_seconds_bucket{service=\"SERVICE\"}[5m]))) > 1.5",
    "restarts": "increase(process_restarts_total{service=\"SERVICE\"}[30m]) > 3",
    "memory": "process_resident_memory_bytes{service=\"SERVICE\"} > "
              "0.9 * process_memory_limit_bytes{service=\"SERVICE\"}",
}

# Name, type and description of a field of an event.
SCHEMA_FIELDS = [
    ("id", "string", "Identifier of this event, unique for ever"),
    ("occurred_at", "string", "When it happened, in RFC 3339 with zone Z"),
    ("customer_id", "string", "The customer it concerns; absent for guests"),
    ("tenant", "string", "The shop that the customer uses"),
    ("amount_minor", "integer", "Amount in the smallest unit of the currency"),
    ("currency", "string", "ISO 4217 code of the currency"),
    ("order_number", "string", "Number that the customer sees"),
    ("country", "string", "ISO 3166-1 code of the delivery address"),
    ("items", "array", "Lines of the order with article, count and price"),
    ("channel", "string", "Where it came from: web, app, store or phone"),
    ("trace_id", "string", "Trace of the request that caused it"),
    ("previous_state", "string", "State before the change"),
    ("state", "string", "State after the change"),
    ("reason", "string", "Why, in words that support may read to the customer"),
    ("attempt", "integer", "How often it was tried, counted from 1"),
    ("warehouse", "string", "Code of the warehouse that ships"),
    ("carrier", "string", "Company that delivers the parcel"),
    ("weight_grams", "integer", "Weight of the parcel"),
    ("voucher", "string", "Voucher that was redeemed"),
    ("schema_version", "integer", "Version of this schema"),
]

# Conditions of firewall rules.
LONG_RULE_PARTS = [
    "http.request.uri.path matches '^/(admin|internal|debug)(/|$)'",
    "http.user_agent contains 'sqlmap'",
    "http.request.body.size > 8388608",
    "ip.geo.country in {'A1' 'T1'} && http.request.method == 'POST'",
    "http.request.headers['x-forwarded-for'] matches '(,[^,]*){9,}'",
    "rate(http.request, by=ip.src, window=10s) > 200",
    "http.request.uri.query contains '../'",
    "http.cookie['session'] == '' && http.request.uri.path matches '^/v1/account'",
    "tls.version < 1.2",
    "http.request.method in {'TRACE' 'CONNECT'}",
]
