"""Exports as the shops write them, with values of our own, and the answer for each by hand.

Members 1 and 2 were referred by member 9; member 3 by nobody. Ids are 10**17 and more.
"""

from __future__ import annotations

from dataclasses import dataclass, field

MEMBER = 10**17
ONE, TWO, THREE, REFERRER = MEMBER + 1, MEMBER + 2, MEMBER + 3, MEMBER + 9


@dataclass(frozen=True)
class Shape:
    """An export: its text, the purchases by order (buyer, cents, refunded cents), and the reasons of what is excluded.

    `bad` is the number of bad rows.
    """

    name: str
    text: str
    purchases: dict[str, tuple[int, int, int]]
    excluded: dict[str, int] = field(default_factory=dict)
    bad: int = 0


SHOPIFY = Shape(
    "Shopify orders",
    "Name,Email,Financial Status,Paid at,Fulfillment Status,Currency,Subtotal,Shipping,Taxes,Total,Discount Code,"
    "Created at,Lineitem quantity,Lineitem name,Lineitem price,Notes,Note Attributes,Cancelled at,Payment Method,"
    "Refunded Amount,Outstanding Balance,Id,Tags,Risk Level,Source,Tax 1 Name,Tax 1 Value\n"
    "#1001,a@b.example,paid,2026-02-03 10:00:00 -0500,fulfilled,USD,100.00,5.00,8.00,113.00,,"
    f'2026-02-03 09:59:00 -0500,2,Hat,25.00,,"gift: yes\ndiscord_id: {ONE}",,Cards,0.00,0.00,9001,,Low,web,VAT,8.00\n'
    "#1001,a@b.example,,,,,,,,,,2026-02-03 09:59:00 -0500,1,Mug,50.00,,,,,,,,,,,,\n"
    f"#1002,b@b.example,partially_refunded,2026-02-04 10:00:00 +0000,,USD,40.00,0.00,0.00,40.00,,"
    f"2026-02-04 10:00:00 +0000,1,Hat,40.00,,discord_id: {TWO},,Cards,15.00,0.00,9002,,Low,web,,\n"
    f"#1003,c@b.example,pending,,,USD,70.00,0.00,0.00,70.00,,2026-02-04 10:00:00 +0000,1,Hat,70.00,,"
    f"discord_id: {ONE},,Cards,0.00,70.00,9003,,Low,web,,\n"
    f"#1004,c@b.example,paid,2026-02-04 10:00:00 +0000,,EUR,80.00,0.00,0.00,80.00,,2026-02-04 10:00:00 +0000,1,Hat,"
    f"80.00,,discord_id: {ONE},,Cards,0.00,0.00,9004,,Low,web,,\n"
    f"#1005,c@b.example,paid,2026-02-04 10:00:00 +0000,,USD,90.00,0.00,0.00,90.00,,2026-02-04 10:00:00 +0000,1,Hat,"
    f"90.00,,discord_id: {ONE},,Bogus Gateway,0.00,0.00,9005,,Low,web,,\n"
    "#1006,c@b.example,refunded,2026-02-04 10:00:00 +0000,,USD,60.00,0.00,0.00,60.00,,2026-02-04 10:00:00 +0000,1,Hat,"
    f"60.00,,discord_id: {ONE},2026-02-05 10:00:00 +0000,Cards,60.00,0.00,9006,,Low,web,,\n"
    "#1007,d@b.example,paid,2026-02-04 10:00:00 +0000,,USD,30.00,0.00,0.00,30.00,,2026-02-04 10:00:00 +0000,1,Hat,"
    "30.00,,,,Cards,0.00,0.00,9007,,Low,web,,\n",
    {"1001": (ONE, 10_000, 0), "1002": (TWO, 4_000, 1_500)},
    {
        "not paid": 7_000,
        "in EUR, not USD": 8_000,
        "a test order": 9_000,
        "cancelled": 6_000,
        "no Discord id stands in it": 3_000,
    },
)

STRIPE = Shape(
    "Stripe payments",
    "id,Created date (UTC),Amount,Amount Refunded,Currency,Captured,Converted Amount,Converted Currency,Fee,Mode,"
    "Status,discord_id (metadata)\n"
    f'ch_1,2026-02-03 10:00:00,"1,200.00",0.00,usd,true,"1,200.00",usd,35.10,Live,Paid,{ONE}\n'
    f"ch_2,2026-02-03 10:00:00,50.00,20.00,usd,true,50.00,usd,1.75,Live,Paid,{TWO}\n"
    f"ch_3,2026-02-03 10:00:00,60.00,0.00,usd,true,60.00,usd,1.75,Live,Failed,{TWO}\n"
    f"ch_4,2026-02-03 10:00:00,70.00,0.00,usd,true,70.00,usd,1.75,Test,Paid,{TWO}\n"
    f"ch_5,2026-02-03 10:00:00,80.00,0.00,eur,true,90.00,usd,1.75,Live,Paid,{TWO}\n"
    f"ch_6,2026-02-03 10:00:00,90.00,0.00,usd,false,90.00,usd,1.75,Live,Paid,{TWO}\n"
    f"ch_7,2026-02-03 10:00:00,10.00,10.00,usd,true,10.00,usd,1.75,Live,Refunded,{ONE}\n"
    "ch_8,2026-02-03 10:00:00,11.00,0.00,usd,true,11.00,usd,1.75,Live,Paid,\n",
    {"ch_1": (ONE, 120_000, 0), "ch_2": (TWO, 5_000, 2_000), "ch_7": (ONE, 1_000, 1_000)},
    {
        "not paid": 6_000,
        "a test payment": 7_000,
        "in EUR, not USD": 8_000,
        "not captured": 9_000,
        "no Discord id stands in it": 1_100,
    },
)

ETSY_ORDERS = Shape(
    "Etsy orders",
    "Sale Date,Order ID,Buyer User ID,Full Name,Number of Items,Payment Method,Date Shipped,Ship State,Currency,"
    "Order Value,Discount Amount,Shipping,Sales Tax,Order Total,Status,Card Processing Fees,Order Net,Discord ID\n"
    f"02/03/26,3001,u1,X,2,card,02/05/26,TX,USD,13.00,0.00,4.50,0.62,18.12,Paid,1.20,16.30,{ONE}\n"
    f"02/03/26,3002,u1,X,2,card,02/05/26,TX,CAD,23.00,0.00,4.50,0.62,28.12,Paid,1.20,26.30,{ONE}\n"
    f"02/03/26,3003,u1,X,2,card,02/05/26,TX,USD,33.00,0.00,4.50,0.62,38.12,Canceled,1.20,36.30,{ONE}\n"
    "02/03/26,3004,u1,X,2,card,02/05/26,TX,USD,43.00,0.00,4.50,0.62,48.12,Paid,1.20,46.30,\n",
    {"3001": (ONE, 1_300, 0)},
    {"in CAD, not USD": 2_300, "not paid": 3_300, "no Discord id stands in it": 4_300},
)

ETSY_ITEMS = Shape(
    "Etsy order items",
    "Sale Date,Item Name,Buyer,Quantity,Price,Discount Amount,Order Shipping,Order Sales Tax,Item Total,Currency,"
    "Transaction ID,Listing ID,Date Paid,Date Shipped,Order ID,Variations,Payment Type,Discord ID\n"
    f"02/03/26,Fox,x,2,$5.00,,$4.50,$0.62,$10.00,USD,4001,9001,02/03/26,02/05/26,5001,,card,{ONE}\n"
    f"02/03/26,Owl,x,1,$3.00,,$0.00,$0.00,$3.00,USD,4002,9002,02/03/26,02/05/26,5001,,card,{ONE}\n"
    f"02/03/26,Owl,x,1,$3.00,,$0.00,$0.00,$3.00,USD,4002,9002,02/03/26,02/05/26,5001,,card,{ONE}\n"
    f"02/04/26,Owl,y,1,$7.25,,$0.00,$0.00,$7.25,USD,4003,9002,02/04/26,02/05/26,5002,,card,{TWO}\n",
    {"5001": (ONE, 1_300, 0), "5002": (TWO, 725, 0)},
    bad=1,
)

PAYPAL = Shape(
    "PayPal activity",
    "Date,Time,TimeZone,Name,Type,Status,Currency,Gross,Fee,Net,From Email Address,Transaction ID,Reference Txn ID,"
    "Custom Number,Balance Impact\n"
    f'13/02/2026,10:00:00,PST,X,Website Payment,Completed,USD,"1,044.40",-3.00,"1,041.40",a@b.example,P1,,'
    f"{ONE},Credit\n"
    f"14/02/2026,10:00:00,PST,X,Payment Refund,Completed,USD,-44.40,0.00,-44.40,a@b.example,P2,P1,{ONE},Debit\n"
    f"14/02/2026,10:00:00,PST,X,Website Payment,Pending,USD,60.00,0.00,60.00,a@b.example,P3,,{ONE},Memo\n"
    f"14/02/2026,10:00:00,PST,X,Website Payment,Completed,EUR,70.00,0.00,70.00,a@b.example,P4,,{ONE},Credit\n"
    "14/02/2026,10:00:00,PST,,General Withdrawal,Completed,USD,-500.00,0.00,-500.00,,P5,,,Debit\n"
    "14/02/2026,10:00:00,PST,Y,Website Payment,Completed,USD,20.00,0.00,20.00,c@b.example,P6,,ticket 7,Credit\n",
    {"P1": (ONE, 104_440, 4_440)},
    {"not completed": 6_000, "in EUR, not USD": 7_000, "not a sale": 0, "no Discord id stands in it": 2_000},
)

GUMROAD = Shape(
    "Gumroad sales",
    "Purchase ID,Item Name,Buyer Name,Purchase Email,Purchase Date,Purchase Time (UTC timezone),Subtotal ($),Taxes ($),"
    "Shipping ($),Sale Price ($),Fees ($),Net Total ($),Refunded?,Partial Refund ($),Fully Refunded?,Disputed?,"
    "Dispute Won?,Custom Fields,Quantity\n"
    f"g1,Fox,X,a@b.example,2026-02-03,10:00:00,12.00,1.20,0.00,13.20,1.85,10.15,0,0.0,0,0,0,Discord ID: {ONE},1\n"
    f"g2,Fox,X,a@b.example,2026-02-03,10:00:00,20.00,0.00,0.00,20.00,1.85,10.15,1,5.00,0,0,0,Discord ID: {TWO},1\n"
    f"g3,Fox,X,a@b.example,2026-02-03,10:00:00,30.00,0.00,0.00,30.00,1.85,10.15,1,0.0,1,0,0,Discord ID: {TWO},1\n"
    f"g4,Fox,X,a@b.example,2026-02-03,10:00:00,40.00,0.00,0.00,40.00,1.85,10.15,0,0.0,0,1,0,Discord ID: {TWO},1\n"
    f"g5,Fox,X,a@b.example,2026-02-03,10:00:00,50.00,0.00,0.00,50.00,1.85,10.15,0,0.0,0,1,1,Discord ID: {TWO},1\n"
    "g6,Fox,X,a@b.example,2026-02-03,10:00:00,60.00,0.00,0.00,60.00,1.85,10.15,0,0.0,0,0,0,,1\n"
    "Totals,,,,,,212.00,1.20,0.00,213.20,,,,5.00,,,,,\n",
    {
        "g1": (ONE, 1_200, 0),
        "g2": (TWO, 2_000, 500),
        "g3": (TWO, 3_000, 3_000),
        "g4": (TWO, 4_000, 4_000),
        "g5": (TWO, 5_000, 0),
    },
    {"no Discord id stands in it": 6_000},
)

KO_FI = Shape(
    "Ko-fi transactions",
    "DateTime (UTC),From,Message,Item,Received,Given,Currency,TransactionType,TransactionId,Reference,SalesTax,"
    "BuyerEmail\n"
    f'02/13/2026 10:00,X,"for {ONE}, with love",Fox,8.00,0.00,USD,Shop Order,k1,,0.00,a@b.example\n'
    f"02/13/2026 10:00,X,{TWO},Fox,9.50,0.00,GBP,Donation,k2,,0.00,a@b.example\n"
    f"02/13/2026 10:00,X,{TWO},Fox,0.00,5.00,USD,Donation,k3,,0.00,a@b.example\n"
    "02/13/2026 10:00,X,thanks,Fox,4.00,0.00,USD,Donation,k4,,0.00,a@b.example\n",
    {"k1": (ONE, 800, 0)},
    {"in GBP, not USD": 950, "nothing was received": 0, "no Discord id stands in it": 400},
)

WOOCOMMERCE = Shape(
    "WooCommerce analytics",
    "Date,Order #,N. Revenue (formatted),Status,Customer,Customer type,Product(s),Items sold,Coupon(s),Net Sales,"
    "Attribution,Discord ID\n"
    f'2026-02-03 10:00:00,701,"&#36;1,012.50",Completed,X,new,1× Fox,1,,1012.50,Direct,{ONE}\n'
    f"2026-02-05 10:00:00,701,-&#36;12.50,Refunded,X,new,1× Fox,-1,,-12.50,Direct,{ONE}\n"
    f"2026-02-03 10:00:00,702,$20.00,Cancelled,X,new,1× Fox,1,,20.00,Direct,{ONE}\n"
    f"2026-02-03 10:00:00,703,€30.00,Processing,X,new,1× Fox,1,,30.00,Direct,{ONE}\n",
    {"701": (ONE, 101_250, 1_250)},
    {"not paid": 2_000, "in €, not USD": 3_000},
)

SHAPES = (SHOPIFY, STRIPE, ETSY_ORDERS, ETSY_ITEMS, PAYPAL, GUMROAD, KO_FI, WOOCOMMERCE)
